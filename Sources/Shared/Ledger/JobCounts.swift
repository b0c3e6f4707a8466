import JobModel
import Postgres

/// How many jobs of a run are in each state.
package struct JobCounts: Sendable, Hashable {
    /// Waiting for other jobs.
    package var blocked = 0
    /// Waiting for a worker.
    package var ready = 0
    /// Under way.
    package var running = 0
    /// With their result.
    package var done = 0
    /// Ended without a result, with no attempt left.
    package var failed = 0
    /// Open when the run ended.
    package var cancelled = 0

    /// No jobs.
    package init() {}

    /// All of them.
    package var total: Int { blocked + ready + running + done + failed + cancelled }

    mutating func set(_ state: JobState, _ count: Int) {
        switch state {
        case .blocked: blocked = count
        case .ready: ready = count
        case .running: running = count
        case .done: done = count
        case .failed: failed = count
        case .cancelled: cancelled = count
        }
    }
}

extension JobState {
    /// The state in a row's column of that name.
    init(_ record: PostgresRecord) throws { self = JobState(rawValue: try record.text("state"))! }
}

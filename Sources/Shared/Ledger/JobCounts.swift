import JobModel
import Postgres

/// The number of jobs of a run in each state, see `JobState`.
package struct JobCounts: Sendable, Hashable {
    package var blocked = 0
    package var ready = 0
    package var running = 0
    package var done = 0
    package var failed = 0
    package var cancelled = 0

    package init() {}

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
    /// Reads the column `state`.
    init(_ record: PostgresRecord) throws { self = JobState(rawValue: try record.text("state"))! }
}

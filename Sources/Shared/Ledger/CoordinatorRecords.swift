package import CommandLineOptions
import Foundation
package import JobModel
import Postgres

/// What a check found.
package struct Finding: Sendable, Hashable {
    /// The segment.
    package var segment: SegmentName
    /// What violating rows mean.
    package var severity: Severity
    /// What to do about it.
    package var hint: String?
    /// All violating rows.
    package var rows: Int
    /// The first of them.
    package var columns: [String]
    /// The first violating rows, values by column; nil is NULL.
    package var sample: [[String?]]

    /// A finding of a check.
    package init(
        segment: SegmentName, severity: Severity, hint: String?, rows: Int, columns: [String], sample: [[String?]]
    ) {
        self.segment = segment
        self.severity = severity
        self.hint = hint
        self.rows = rows
        self.columns = columns
        self.sample = sample
    }
}

/// Another coordinator has taken the run over; this one changes nothing any more.
package struct OwnershipLost: Error, CustomStringConvertible, Sendable {
    /// What people read.
    package let description = "another coordinator has taken the run over"

    /// Said by the ledger.
    package init() {}
}

/// The run was cancelled; its coordinator changes nothing any more.
package struct RunCancelled: ErrorWithExitCode, Sendable, Hashable {
    package let runID: RunID

    package init(runID: RunID) { self.runID = runID }

    package var description: String { "run \(runID) was cancelled" }
    package var hint: String? { "start 'bda-coordinator run' if the date is still to be exported: it begins a new run" }
    /// A schedule does not start a cancelled date again.
    package var exitCode: ExitCode { .dateHeld }
}

/// One segment's jobs as they are written to the ledger.
package struct PlannedJobs: Sendable {
    /// The segment.
    package var segment: SegmentName
    /// One an entry, with its page range if it is split by pages.
    package var jobs: [(pageFrom: Int?, pageTo: Int?)]
    /// What one of them is expected to take when no former run knows it.
    package var expectedSeconds: Double

    /// The jobs of a segment.
    package init(segment: SegmentName, jobs: [(pageFrom: Int?, pageTo: Int?)], expectedSeconds: Double = 1) {
        self.segment = segment
        self.jobs = jobs
        self.expectedSeconds = expectedSeconds
    }
}

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

/// A completion whose event the ledger does not know to be sent.
package struct OwedEvent: Sendable {
    /// The event that is owed.
    package var body: JobCompleted
}

/// One part of a run's result.
package struct RunPart: Sendable, Hashable {
    /// The job.
    package var jobID: JobID
    /// The part.
    package var part: PartRecord
}

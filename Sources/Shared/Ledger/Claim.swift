package import JobModel
package import Postgres

/// A job that is this worker's until its lease runs out.
package struct Claim: Sendable, Hashable {
    /// The job.
    package let jobID: JobID
    /// Counted from 1.
    package let attempt: Int
    /// How many attempts are left after this one.
    package let attemptsLeft: Int
    /// The first page and the page after the last, for a job that is split by pages.
    package let pageFrom: Int?
    /// The page after the last; nil for the last range.
    package let pageTo: Int?
    /// The session of the attempt whose lease ran out, if this is a take-over: it must be gone before the work begins.
    package let former: PostgresSession.Backend?

    /// The claim of a history segment, which the coordinator that owns the run does itself.
    package static func ofCoordinator(_ jobID: JobID) -> Claim {
        Claim(jobID: jobID, attempt: 1, attemptsLeft: 0, pageFrom: nil, pageTo: nil, former: nil)
    }
}

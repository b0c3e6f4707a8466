package import JobModel
package import Postgres

/// A job that this worker holds until its lease runs out.
package struct Claim: Sendable, Hashable {
    package let jobID: JobID
    package let attempt: Int
    /// The number of attempts after this one.
    package let attemptsLeft: Int
    /// The first page, for a job that is split by pages.
    package let pageFrom: Int?
    /// The page after the last; nil for the last range.
    package let pageTo: Int?
    /// The session of the attempt whose lease ran out, if this is a take-over: it must have ended before the work
    /// begins.
    package let former: PostgresSession.Backend?

    /// The claim of a history segment, whose work is done by the coordinator that owns the run.
    package static func ofCoordinator(_ jobID: JobID) -> Claim {
        Claim(jobID: jobID, attempt: 1, attemptsLeft: 0, pageFrom: nil, pageTo: nil, former: nil)
    }
}

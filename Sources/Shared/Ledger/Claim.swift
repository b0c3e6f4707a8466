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

/// One file of a job's result.
package struct PartRecord: Sendable, Hashable, Codable {
    /// Counted from 1.
    package var partNo: Int
    /// Its key.
    package var key: String
    /// Data rows.
    package var rows: Int
    /// Stored bytes.
    package var bytes: Int
    /// Of the stored bytes, hexadecimal.
    package var sha256: String

    /// A part of the given figures.
    package init(partNo: Int, key: String, rows: Int, bytes: Int, sha256: String) {
        self.partNo = partNo
        self.key = key
        self.rows = rows
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// What a job's work came to.
package struct JobResult: Sendable, Hashable {
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
    /// Wall time in milliseconds.
    package var durationMs: Int
    /// Parts, that is files.
    package var parts: [PartRecord]
    /// The control totals.
    package var totals: [ControlTotal]

    /// A result of the given figures.
    package init(rows: Int, bytes: Int, durationMs: Int, parts: [PartRecord], totals: [ControlTotal]) {
        self.rows = rows
        self.bytes = bytes
        self.durationMs = durationMs
        self.parts = parts
        self.totals = totals
    }
}

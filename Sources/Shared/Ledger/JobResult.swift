package import JobModel

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

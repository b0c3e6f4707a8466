package import JobModel

/// One file of a job's result.
package struct PartRecord: Sendable, Hashable, Codable {
    package var partNo: Int
    package var key: String
    /// Data rows, without the header line.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
    /// The digest of the stored bytes, hexadecimal.
    package var sha256: String

    package init(partNo: Int, key: String, rows: Int, bytes: Int, sha256: String) {
        self.partNo = partNo
        self.key = key
        self.rows = rows
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// The result of a job's work.
package struct JobResult: Sendable, Hashable {
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
    /// Wall time in milliseconds.
    package var durationMs: Int
    package var parts: [PartRecord]
    package var totals: [ControlTotal]

    package init(rows: Int, bytes: Int, durationMs: Int, parts: [PartRecord], totals: [ControlTotal]) {
        self.rows = rows
        self.bytes = bytes
        self.durationMs = durationMs
        self.parts = parts
        self.totals = totals
    }
}

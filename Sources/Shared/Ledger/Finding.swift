package import JobModel

/// The result of one check: the number of rows that violate it, and the first of them.
package struct Finding: Sendable, Hashable {
    package var segment: SegmentName
    /// The consequence of violating rows.
    package var severity: Severity
    package var hint: String?
    /// The number of all violating rows.
    package var rows: Int
    /// The columns of `sample`.
    package var columns: [String]
    /// The first violating rows, values by column; nil is NULL.
    package var sample: [[String?]]

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

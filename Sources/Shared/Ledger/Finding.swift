package import JobModel

/// The result of one check: how many rows violate it, and the first of them.
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

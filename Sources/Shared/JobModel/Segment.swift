/// The kind of a segment, given by the folder of its script.
package enum SegmentKind: String, Sendable, Hashable, Codable, CaseIterable {
    case precheck, `init`, archive, postcheck, history

    /// The folder below the scripts folder.
    package var folder: String {
        switch self {
        case .precheck: "prechecks"
        case .`init`: "init"
        case .archive: "archive"
        case .postcheck: "postchecks"
        case .history: "history"
        }
    }

    /// Whether it is divided into jobs that workers claim; other kinds run in the coordinator.
    package var isJob: Bool { self == .`init` || self == .archive }
}

/// How a segment's work is divided into jobs.
package enum SegmentSplit: Sendable, Hashable {
    /// One job for each customer bucket.
    case bucket
    /// One job.
    case none
}

/// Which data a segment reads.
package enum SegmentReads: String, Sendable, Hashable, CaseIterable {
    /// The vaults, in the run's snapshot.
    case vault
    /// Tables that this run wrote, in a fresh snapshot.
    case run
}

/// The consequence of a failed check.
package enum Severity: String, Sendable, Hashable, Codable, CaseIterable {
    /// The run stops.
    case error
    /// The run goes on, and the finding is reported.
    case warn
}

/// The header of a segment's script: everything that the job graph needs.
package struct Segment: Sendable, Hashable {
    /// Unique in the set of scripts.
    package var name: SegmentName
    /// From the script's folder.
    package var kind: SegmentKind
    /// Segments whose jobs must be done before.
    package var needs: [SegmentName]
    package var split: SegmentSplit
    /// The source of its rows.
    package var reads: SegmentReads
    /// The tables that it fills; a table of the run has no schema in its name.
    package var writes: [String]
    /// For archive segments: the columns that identify a row and lead the order.
    package var key: [String]
    /// For archive segments: the numeric columns that are summed.
    package var totals: [String]
    /// For archive segments: the column that the totals are grouped by.
    package var totalsBy: String?
    /// For checks: whether violating rows stop the run.
    package var severity: Severity
    /// For checks: what the operator can do.
    package var hint: String?

    package init(
        name: SegmentName, kind: SegmentKind, needs: [SegmentName] = [], split: SegmentSplit = .bucket,
        reads: SegmentReads, writes: [String] = [], key: [String] = [], totals: [String] = [],
        totalsBy: String? = nil, severity: Severity = .error, hint: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.needs = needs
        self.split = split
        self.reads = reads
        self.writes = writes
        self.key = key
        self.totals = totals
        self.totalsBy = totalsBy
        self.severity = severity
        self.hint = hint
    }
}

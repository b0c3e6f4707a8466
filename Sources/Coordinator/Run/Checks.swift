import CommandLineOptions
import JobModel
import Ledger
import Logging
import Postgres
import Scripts

/// Runs the checks of a kind and stores what they find.
struct Checks: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    /// Throws when a check of severity `error` finds rows. The session is in the transaction that the checks are to read.
    func perform(
        _ kind: SegmentKind, of scripts: [SegmentScript], for run: RunRecord, in session: PostgresSession
    ) async throws {
        let findings = try await CheckRunner(run: run).findings(
            of: scripts.filter { $0.segment.kind == kind }, in: session)
        for finding in findings { try await dependencies.ledger.runs.insert(finding, of: run.runID) }
        let violated = findings.filter { $0.rows > 0 }
        for finding in violated where finding.severity == .warn {
            dependencies.logger.warning(
                "a check found something", metadata: [.segment: "\(finding.segment)", .rows: "\(finding.rows)"])
        }
        let errors = violated.filter { $0.severity == .error }
        guard errors.isEmpty else {
            throw RunFailure(
                kind == .precheck ? .precheckFailed : .totalsDiffer,
                (["\(errors.count) \(kind.rawValue)\(errors.count == 1 ? "" : "s") failed"]
                    + errors.map(CheckRunner.describe))
                    .joined(separator: "\n"),
                hint: kind == .precheck ? "nothing was exported; mend the data and run again" : nil)
        }
    }
}

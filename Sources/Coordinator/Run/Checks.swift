import CommandLineOptions
import JobModel
import Ledger
import Logging
import Postgres
import Scripts

/// Runs the checks of a kind and stores their findings.
struct Checks: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    /// Throws if a check of severity `error` finds rows. The checks read in the session's open transaction.
    func perform(
        _ kind: SegmentKind, of scripts: [SegmentScript], for run: RunRecord, in session: PostgresSession
    ) async throws {
        let findings = try await CheckRunner(run: run).findings(
            of: scripts.filter { $0.segment.kind == kind }, in: session)
        for finding in findings { try await dependencies.ledger.runs.insert(finding, of: run.runID) }
        let violated = findings.filter { $0.rows > 0 }
        for finding in violated where finding.severity == .warn {
            dependencies.logger.warning(
                "a check found violating rows", metadata: [.segment: "\(finding.segment)", .rows: "\(finding.rows)"])
        }
        let errors = violated.filter { $0.severity == .error }
        guard errors.isEmpty else {
            throw RunFailure(
                kind == .precheck ? .precheckFailed : .totalsDiffer,
                (["\(errors.count) \(kind.rawValue)\(errors.count == 1 ? "" : "s") failed"]
                    + errors.map(CheckRunner.describe))
                    .joined(separator: "\n"),
                hint: kind == .precheck ? "nothing was exported; correct the data and run the date again" : nil)
        }
    }
}

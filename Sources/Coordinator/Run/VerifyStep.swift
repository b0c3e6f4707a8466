import CommandLineOptions
import JobModel
import Ledger
import Logging
import Postgres
import Scripts
import Warehouse

/// Verifies the run before anything is published: the store has every part, row counts and totals of the exported bytes
/// equal those of SQL, no dataset has changed its columns, and the postchecks pass.
struct VerifyStep: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    func perform(_ run: RunRecord) async throws {
        let ledger = dependencies.ledger
        let recorded = try await ledger.runs.scripts(of: run.runID)
        let archives = recorded.filter { $0.script.segment.kind == .archive }
        let parts = try await ledger.results.parts(of: run.runID)
        let totals = try await ledger.results.totals(of: run.runID)
        let verification = Verification(run: run, store: dependencies.store)
        try await verification.checkParts(parts)
        try await dependencies.withSession { session in
            try await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", action: "begin the postchecks")
            var problems: [String] = []
            for archive in archives {
                let name = archive.script.segment.name
                problems += try await verification.differences(
                    of: archive.script,
                    rows: parts.filter { $0.jobID.segment == name }.reduce(0) { $0 + $1.part.rows },
                    totals: totals.filter { $0.jobID.segment == name }.map(\.total),
                    in: try await source(of: archive, for: run, session))
            }
            guard problems.isEmpty else {
                throw RunFailure(.totalsDiffer, problems.joined(separator: "\n"), hint: "nothing was published")
            }
            try await checkSchemaDrift(archives, of: run)
            try await Checks(dependencies).perform(.postcheck, of: recorded.map(\.script), for: run, in: session)
        }
    }

    /// Returns the session whose transaction sees the rows that the archive was exported from.
    private func source(
        of archive: RunScript, for run: RunRecord, _ session: PostgresSession
    ) async throws -> PostgresSession {
        guard archive.script.segment.reads == .vault else { return session }
        guard let snapshot = try await dependencies.snapshot.session(holdingSnapshotOf: run) else {
            throw RunFailure(
                .snapshotLost,
                "snapshot_lost: no session holds the snapshot that \(archive.script.segment.name) was read in",
                hint: "a new run reads a new snapshot")
        }
        return snapshot
    }

    private func checkSchemaDrift(_ archives: [RunScript], of run: RunRecord) async throws {
        let former = try await dependencies.ledger.runs.runs(
            clientID: run.clientID, environment: run.environment, businessDate: nil, limit: 20
        ).first { $0.state == .closed && $0.runID != run.runID }
        guard let former else { return }
        let known = Dictionary(
            try await dependencies.ledger.runs.scripts(of: former.runID).map { ($0.script.segment.name, $0.columns) },
            uniquingKeysWith: { first, _ in first })
        for archive in archives {
            guard let before = known[archive.script.segment.name], before != archive.columns else { continue }
            let text = { (columns: [DatasetColumn]) in
                columns.map { "\($0.name) \($0.type.base)" }.joined(separator: ", ")
            }
            let reason =
                "the columns of \(archive.script.segment.name) have changed since run \(former.runID): from (\(text(before))) to (\(text(archive.columns)))"
            guard dependencies.settings.schemaDrift == .fail else {
                dependencies.logger.warning(
                    "a dataset's columns have changed", metadata: [.dataset: "\(archive.script.segment.name)"])
                continue
            }
            throw RunFailure(
                .totalsDiffer, reason, hint: "if BI expects the change, run the date once with BDA_SCHEMA_DRIFT=warn")
        }
    }
}

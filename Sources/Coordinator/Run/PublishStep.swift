import JobModel
import Ledger
import Logging
import Postgres
import Scripts
import Warehouse

/// Publishes the run: writes the manifests, replaces the views in one transaction, and moves `latest.json` last.
struct PublishStep: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    func perform(_ run: RunRecord) async throws -> RunManifest {
        let ledger = dependencies.ledger
        let replaces = try await ledger.runs.publishedRun(
            clientID: run.clientID, environment: run.environment, businessDate: run.businessDate, except: run.runID)
        let archives = try await ledger.runs.scripts(of: run.runID).filter { $0.script.segment.kind == .archive }
        let parts = Dictionary(grouping: try await ledger.results.parts(of: run.runID), by: \.jobID.segment)
        let totals = Dictionary(grouping: try await ledger.results.totals(of: run.runID), by: \.jobID.segment)
        let writer = ManifestWriter(run: run, store: dependencies.store)
        let written = try await writer.write(
            datasets: archives.map { archive in
                let name = archive.script.segment.name
                return (archive, parts[name] ?? [], ControlTotal.sum((totals[name] ?? []).map(\.total)) ?? [])
            }, warnings: try await ledger.runs.warnings(of: run.runID), replaces: replaces)
        try await ledger.runs.setManifest(uri: written.uri, sha256: written.sha256, replaces: replaces, of: run)
        if run.isCompleteSet {
            try await publishViews(of: run)
            try await writer.moveLatest(to: written) { try await ledger.runs.assertOwner(run) }
        }
        return written.manifest
    }

    /// Points the views at the run's tables. An open transaction that has read a view blocks its replacement: each
    /// attempt waits for the lock only briefly, so that other readers do not queue behind it, and `status` names the
    /// session.
    private func publishViews(of run: RunRecord) async throws {
        let tables = dependencies.scripts.runTables(of: dependencies.scripts.selected(systems: Set(run.systems)))
        var isWaiting = false
        while true {
            let readers: [String]? = try await dependencies.withSession { session in
                do {
                    try await session.execute(
                        "BEGIN; SET LOCAL lock_timeout = '\(Self.lockWaitMilliseconds)ms'; \(RunStore.ownerAssertion(run))",
                        action: "begin the publication")
                    try await RunSchema(run).publishViews(tables, in: session)
                    try await session.execute("COMMIT", action: "publish the views")
                    return nil
                } catch let error as PostgresError where error.sqlState == "55P03" {
                    try await session.execute("ROLLBACK", action: "roll the publication of the views back")
                    return try await RunSchema.readers(
                        of: tables.compactMap(\.view), schema: "report_oibl", in: session)
                }
            }
            guard let readers else { break }
            let reason =
                "the views of report_oibl cannot be replaced while open transactions read them: "
                + (readers.isEmpty ? "these have ended by now" : readers.joined(separator: "; "))
            if !isWaiting {
                dependencies.logger.warning(
                    "an open transaction of a reader blocks the replacement of the views",
                    metadata: [.runID: "\(run.runID)", .reason: "\(readers.joined(separator: "; "))"])
            }
            isWaiting = true
            try await dependencies.ledger.runs.noteWaiting(for: reason, of: run)
            try await Task.sleep(for: Self.pause)
        }
        if isWaiting { try await dependencies.ledger.runs.noteWaiting(for: nil, of: run) }
    }

    private static let lockWaitMilliseconds = 1000
    private static let pause = Duration.seconds(3)
}

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

    /// Compares each dataset with the run that published it last, whatever came between.
    private func checkSchemaDrift(_ archives: [RunScript], of run: RunRecord) async throws {
        let published = try await dependencies.ledger.runs.publishedDatasets(
            clientID: run.clientID, environment: run.environment, except: run.runID)
        for drift in SchemaDriftCheck(published: published).drifts(
            of: archives.map { ($0.script.segment.name, $0.columns) }, in: run)
        {
            guard dependencies.settings.schemaDrift == .fail else {
                dependencies.logger.warning(
                    "a dataset differs from its last published run",
                    metadata: [.dataset: "\(drift.dataset)", .reason: "\(drift.reason)"])
                continue
            }
            throw RunFailure(
                .totalsDiffer, drift.reason,
                hint: "if BI expects the change, run the date once with BDA_SCHEMA_DRIFT=warn")
        }
    }
}

/// Finds datasets that differ from what was published last. Pure.
struct SchemaDriftCheck {
    /// Each dataset that was ever published, with the newest run that published it.
    let published: [PublishedDataset]

    func drifts(
        of datasets: [(name: SegmentName, columns: [DatasetColumn])], in run: RunRecord
    ) -> [(dataset: SegmentName, reason: String)] {
        let known = Dictionary(published.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let changed = datasets.compactMap { dataset -> (dataset: SegmentName, reason: String)? in
            guard let before = known[dataset.name], before.columns != dataset.columns else { return nil }
            return (
                dataset.name,
                "the columns of \(dataset.name) have changed since run \(before.runID): from (\(Self.text(before.columns))) to (\(Self.text(dataset.columns)))"
            )
        }
        // A dataset that was missing from the newest run of its system already is not missed again.
        let newest = Dictionary(grouping: published, by: \.name.system).mapValues { $0.map(\.order).max() ?? 0 }
        let present = Set(datasets.map(\.name))
        let gone = published.filter { dataset in
            !present.contains(dataset.name) && dataset.order == newest[dataset.name.system]
                && (run.isCompleteSet || run.systems.contains(dataset.name.system))
        }.map { (dataset: $0.name, reason: "the dataset \($0.name), which run \($0.runID) published, is missing") }
        return changed + gone
    }

    private static func text(_ columns: [DatasetColumn]) -> String {
        columns.map { "\($0.name) \($0.type.base)" }.joined(separator: ", ")
    }
}

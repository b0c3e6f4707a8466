import Foundation
import JobModel
import Ledger
import Logging
import Postgres
import Scripts
import Timing
import Warehouse

/// Begins a new run: exports a snapshot, writes the run's row, runs the prechecks in the snapshot, and creates the
/// tables and the job graph.
struct BeginStep: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    /// Returns the run after its jobs are written. `current` refers to the run as soon as its row exists, so that a
    /// failure is recorded from then on.
    func perform(_ request: RunRequest) async throws -> RunRecord {
        let ledger = dependencies.ledger
        let selected = dependencies.scripts.selected(systems: Set(request.systems))
        let session = try await PostgresSession.connect(dependencies.settings.database, purpose: "coordinator snapshot")
        do {
            return try await withTaskCancellationHandler {
                let relations = try await relations(of: selected, for: request, in: session)
                let vaultReaders = selected.filter { $0.segment.reads == .vault }
                let tables = Set(vaultReaders.flatMap { relations[$0.segment.name]?.tables ?? [] }).sorted()
                let graph = JobGraph(
                    segments: selected.map(\.segment), systems: Set(request.systems),
                    partitionCount: request.partitions)
                let jobs = planJobs(graph, relations)
                let snapshot = try await Snapshot.export(on: session, locking: tables)
                var run = newRun(request, snapshotID: snapshot.id)
                try await ledger.runs.insert(run)
                run = try await ledger.runs.run(run.runID) ?? run
                dependencies.current.set(run)
                dependencies.logger.info("run begun", metadata: dependencies.metadata(run))
                try await Checks(dependencies).perform(.precheck, of: selected, for: run, in: session)
                try await makeTables(selected, relations, for: run)
                try await ledger.jobs.insertGraph(graph, jobs: jobs, for: run)
                run = try await ledger.runs.run(run.runID) ?? run
                await dependencies.snapshot.hold(snapshot, for: run.runID)
                dependencies.current.set(run)
                dependencies.messages.tell(
                    RunStarted(
                        systems: run.systems, partitionCount: run.partitionCount, cutoff: run.cutoff,
                        datasets: selected.filter { $0.segment.kind == .archive }.map(\.segment.name)),
                    of: run.context)
                return run
            } onCancel: {
                session.cancel()
            }
        } catch {
            await session.close()
            throw error
        }
    }

    /// Returns the relations that each script reads. Throws if a script must be refused.
    private func relations(
        of selected: [SegmentScript], for request: RunRequest, in session: PostgresSession
    ) async throws -> [SegmentName: Relations] {
        var smallest = request
        smallest.partitions = 1
        var trial = newRun(smallest, snapshotID: "")
        trial.startedAt = Timestamp.text(of: Date())
        // History scripts are left out: they read only the run's tables, and a precheck tests whether the role may
        // write.
        let relations = try await Relations.read(
            by: selected.filter { $0.segment.kind != .history }, of: trial, making: dependencies.scripts.tables,
            in: session)
        for warning in relations.values.flatMap(\.warnings).sorted() {
            dependencies.logger.warning(
                "the tables that a script reads cannot be determined with certainty", metadata: [.reason: "\(warning)"])
        }
        try Relations.refuse(relations)
        return relations
    }

    private func newRun(_ request: RunRequest, snapshotID: String) -> RunRecord {
        let settings = dependencies.settings
        var generator = SystemRandomNumberGenerator()
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        return RunRecord(
            runID: RunID(millisecondsSince1970: milliseconds, using: &generator), clientID: settings.clientID,
            environment: settings.deployment, businessDate: request.businessDate,
            cutoff: Timestamp.text(of: settings.cutoff(of: request.businessDate)), systems: request.systems,
            isCompleteSet: Set(request.systems).isSuperset(of: settings.systems),
            settings: settings.runSettings(
                partitionCount: request.partitions, output: dependencies.outputURI),
            owner: dependencies.ownerName, snapshotID: snapshotID)
    }

    private func planJobs(_ graph: JobGraph, _ relations: [SegmentName: Relations]) -> [PlannedJobs] {
        var planned: [PlannedJobs] = []
        let rows = rowsRead(by: graph, relations)
        for segment in graph.segments {
            let count = graph.jobCount(of: segment)
            // Only the order of the jobs matters, longest first. A slot reads about 200,000 rows per second.
            let seconds = (rows[segment.name] ?? 0) / Double(count) / 200_000
            let jobs: [(pageFrom: Int?, pageTo: Int?)] = Array(repeating: (nil, nil), count: count)
            planned.append(PlannedJobs(segment: segment.name, jobs: jobs, expectedSeconds: seconds))
        }
        return planned
    }

    /// Estimates how many rows each segment reads: from the vaults, by the server's statistics; from the run's tables,
    /// which do not exist yet, as many rows as the segments read that fill these tables.
    private func rowsRead(by graph: JobGraph, _ relations: [SegmentName: Relations]) -> [SegmentName: Double] {
        var rows: [SegmentName: Double] = [:]
        for segment in graph.segments {
            switch segment.reads {
            case .vault: rows[segment.name] = relations[segment.name]?.estimatedRows
            case .run: rows[segment.name] = segment.needs.reduce(0) { $0 + (rows[$1] ?? 0) }
            }
        }
        return rows
    }

    private func makeTables(
        _ selected: [SegmentScript], _ relations: [SegmentName: Relations], for run: RunRecord
    ) async throws {
        let described = try await dependencies.withSession { session in
            try await RunSchema.createPermanent(dependencies.scripts.tables, in: session)
            try await RunSchema(run).create(dependencies.scripts.runTables(of: selected), in: session)
            var described: [(SegmentScript, [DatasetColumn], tables: [String])] = []
            for script in selected {
                var columns: [DatasetColumn] = []
                if script.segment.kind == .archive {
                    var parameters = run.parameters
                    parameters.partition = script.segment.split == .none ? nil : 0
                    columns = try await session.describe(
                        try script.text.statements(with: parameters)[0], action: "describe \(script.segment.name)"
                    ).map { DatasetColumn(name: $0.name, type: $0.type) }
                }
                let tables = script.segment.reads == .vault ? relations[script.segment.name]?.tables ?? [] : []
                described.append((script, columns, tables))
            }
            return described
        }
        try await dependencies.ledger.runs.insertScripts(described, for: run.runID)
    }
}

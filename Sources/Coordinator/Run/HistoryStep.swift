import JobModel
import Ledger
import Postgres
import Scripts
import Warehouse

/// Runs each history segment in a transaction of its own that ends with its result row, so that no segment runs twice.
struct HistoryStep: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    func perform(_ run: RunRecord) async throws {
        let histories = try await dependencies.ledger.runs.scripts(of: run.runID).filter {
            $0.script.segment.kind == .history
        }
        if histories.isEmpty || !run.isCompleteSet { return }
        try await dependencies.withSession { session in
            for history in histories { try await perform(history, of: run, in: session) }
        }
    }

    private func perform(_ history: RunScript, of run: RunRecord, in session: PostgresSession) async throws {
        let name = history.script.segment.name
        let claim = Claim.ofCoordinator(JobID(run: run.runID, segment: name, partition: 0))
        guard try await !dependencies.ledger.results.hasResult(claim.jobID) else { return }
        let start = ContinuousClock.now
        // READ COMMITTED: a history first locks its table, and must then see the rows that another run has committed.
        let transactionID = try await WorkTransaction.begin(in: session, snapshotID: nil, isolation: .readCommitted)
        var parameters = run.parameters
        parameters.historyDays = dependencies.settings.historyDays
        var rows = 0
        for statement in try history.script.text.statements(with: parameters) {
            rows += try await session.execute(
                statement, within: .seconds(dependencies.settings.runTimeoutSeconds), action: "run the history \(name)"
            ).affectedRows
        }
        _ = try await WorkTransaction.commit(
            in: session, claim: claim, workerID: dependencies.ownerName, transactionID: transactionID,
            result: JobResult(
                rows: rows, bytes: 0, durationMs: Int((ContinuousClock.now - start) / .milliseconds(1)), parts: [],
                totals: []))
    }
}

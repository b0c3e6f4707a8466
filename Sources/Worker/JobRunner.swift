import JobModel
import Ledger
import ObjectStore
import Postgres
import Scripts
import Warehouse

/// Does the work of one claim, from the transaction's begin to its commit.
struct JobRunner: Sendable {
    let workerID: String
    let runs: RunCache
    let stores: StoreCache

    /// Runs the job on `session`, the session of the slot's ledger connection, and commits its result. Returns nil if
    /// another attempt has completed the job before.
    func run(
        _ job: RunningJob, of run: RunRecord, script: RunScript, on session: PostgresSession, ledger: Ledger
    ) async throws -> JobResult? {
        let clock = ContinuousClock()
        let start = clock.now
        let claim = job.claim
        if claim.attempt > 1 { try await endFormerSessions(of: claim, on: session) }
        let segment = script.script.segment
        var parameters = run.parameters
        if segment.split == .bucket { parameters.partition = claim.jobID.partition }
        let statements = try script.script.text.statements(with: parameters)
        try Task.checkCancellation()
        let transactionID =
            switch segment.reads {
            case .run: try await WorkTransaction.begin(in: session, snapshotID: nil)
            case .vault:
                try await runs.withSnapshot(of: run, from: ledger) {
                    try await WorkTransaction.begin(in: session, snapshotID: $0, locking: script.tables)
                }
            }
        var result: JobResult
        switch segment.kind {
        case .archive:
            let pipeline = ExportPipeline(
                session: session, store: try await stores.store(for: run.output), run: run, jobID: claim.jobID,
                progress: job.progress)
            let output = try await pipeline.export(
                query: statements[0], columns: script.columns, segment: segment)
            result = JobResult(
                rows: output.rows, bytes: output.parts.reduce(0) { $0 + $1.bytes }, durationMs: 0, parts: output.parts,
                totals: output.totals)
        default:
            var rows = 0
            for statement in statements {
                try Task.checkCancellation()
                rows += try await session.execute(statement, within: nil, action: "run \(segment.name)").affectedRows
                job.progress.set(rows)
            }
            result = JobResult(rows: rows, bytes: 0, durationMs: 0, parts: [], totals: [])
        }
        try Task.checkCancellation()
        result.durationMs = Int((clock.now - start) / .milliseconds(1))
        let isFirst = try await WorkTransaction.commit(
            in: session, claim: claim, workerID: workerID, transactionID: transactionID, result: result)
        return isFirst ? result : nil
    }

    /// Ends the sessions of all earlier attempts at the job and waits for their end, so that they cannot commit
    /// anything any more: the session of a lease that ran out, and a session whose connection was lost on this side
    /// only.
    private func endFormerSessions(of claim: Claim, on session: PostgresSession) async throws {
        let areGone = try await session.query(
            "SELECT bda.end_sessions($1, $2::int, 5000)", [claim.jobID.description, "\(claim.attempt)"],
            action: "end the sessions of former attempts"
        ).firstValue
        guard areGone == "t" else {
            throw PostgresError(
                sqlState: "55006", message: "the session of a former attempt has not ended within 5 seconds",
                action: "take the job over", isConnectionLost: true)
        }
    }
}

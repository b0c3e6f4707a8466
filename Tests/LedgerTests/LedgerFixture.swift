import Warehouse
import Foundation
import JobModel
import Postgres
import TestSupport
import Testing
import Scripts
import Ledger

/// A ledger with one running run of unsplit jobs of a segment each, all ready.
struct LedgerFixture {
    static let scriptsFolder =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../scripts").standardized.path

    let role: PostgresConfiguration
    let ledger: Ledger
    let run: RunRecord
    let jobs: [JobID]

    static func with<Value>(
        jobs count: Int, maxAttempts: Int = 3, _ body: (LedgerFixture) async throws -> Value
    ) async throws -> Value {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            _ = try await LedgerSetup(folders: [scriptsFolder]).apply(in: session)
            await session.close()
            let ledger = Ledger(role, purpose: "test")
            var generator = SystemRandomNumberGenerator()
            let runID = RunID(millisecondsSince1970: 1_775_013_300_123, using: &generator)
            let run = RunRecord(
                runID: runID, clientID: "acme", environment: "dev", businessDate: try BusinessDate("2026-03-31"),
                cutoff: "2026-04-01T03:00:00.000Z", systems: ["tripica"], isCompleteSet: true,
                settings: .test(partitionCount: count, maxAttempts: maxAttempts), owner: "test", snapshotID: nil)
            try await ledger.runs.insert(run)
            let segment = Segment(name: try SegmentName("tripica.work"), kind: .`init`, reads: .run)
            let graph = JobGraph(segments: [segment], systems: ["tripica"], partitionCount: count)
            try await ledger.jobs.insertGraph(
                graph, jobs: [PlannedJobs(segment: segment.name, jobs: Array(repeating: (nil, nil), count: count))],
                for: run)
            _ = try await ledger.jobs.advance(run)
            let fixture = LedgerFixture(
                role: role, ledger: ledger, run: run,
                jobs: (0..<count).map { JobID(run: runID, segment: segment.name, partition: $0) })
            let value = try await body(fixture)
            await ledger.close()
            return value
        }
    }

    func session() async throws -> PostgresSession { try await PostgresSession.connect(role, purpose: "test work") }

    func claim(_ job: JobID?, for session: PostgresSession, worker: String = "w", lease: Int = 30) async throws
        -> Claim?
    {
        try await ledger.jobs.claim(
            job, clientID: "acme", environment: "dev", workerID: worker, backend: try await session.backend(),
            leaseSeconds: lease)
    }

    func commit(_ claim: Claim, in session: PostgresSession) async throws -> Bool {
        let transaction = try await WorkTransaction.begin(in: session, snapshotID: nil)
        return try await WorkTransaction.commit(
            in: session, claim: claim, workerID: "w", transactionID: transaction,
            result: JobResult(
                rows: 1, bytes: 2, durationMs: 3,
                parts: [PartRecord(partNo: 1, key: "k", rows: 1, bytes: 2, sha256: "ab")],
                totals: [ControlTotal(name: "net", currency: "EUR", amount: try ExactDecimal("0.10"))]))
    }

    func cancel() async throws -> (isCancelled: Bool, state: RunState)? {
        try await ledger.runs.cancel(run.runID, by: "cancel", exitCode: 30, reason: "cancelled by a person")
    }

    /// What a worker does before it begins an attempt that is not the first.
    func endFormerSessions(of claim: Claim, in session: PostgresSession) async throws {
        let areGone = try await session.query(
            "SELECT bda.end_sessions($1, $2::int, 5000)", [claim.jobID.description, "\(claim.attempt)"],
            action: "end the former sessions")
        #expect(areGone.firstValue == "t")
    }

    /// Ends a lease without waiting for it.
    func expireLease(of job: JobID) async throws {
        let session = try await session()
        try await session.query(
            "UPDATE bda.job SET lease_until = now() - interval '1 second' WHERE job_id = $1", [job.description],
            action: "expire")
        await session.close()
    }
}

import Foundation
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem {
    @Suite struct LostClaimTests {
        /// Files begin every 40 rows, so a job at the gate has begun an upload.
        private static let settings = [
            "BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "1", "BDA_MAX_ROW_SIZE_FILE": "40",
        ]

        @Test(
            "a job whose claim is another's, with the default lease, is stopped within 2 seconds: no upload, no session"
        )
        func claimIsTaken() async throws {
            try await Fleet.with(Self.settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("robbed")
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                let job = try await fleet.jobAtGate(of: "robbed")
                let uploads = try await fleet.untilUploading(worker)

                // As another worker would after the lease had run out.
                let thief = try await PostgresSession.connect(fleet.administrator, purpose: "thief")
                let claimed = try await thief.execute(
                    """
                    UPDATE bda.job SET lease_until = clock_timestamp() - interval '1 second' WHERE job_id = '\(job.id)';
                    SELECT attempt FROM bda.claim('\(job.id)', 'acme', 'dev', 'thief', pg_backend_pid(),
                        (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()), 30)
                    """, action: "take the claim")
                #expect(claimed.firstValue == "2")
                try await fleet.until("its session and its uploads are gone", within: .seconds(2), [worker]) {
                    guard try await fleet.isGone(job) else { return false }
                    let left = try await fleet.store.pendingUploads(prefix: "billing/")
                    return left.allSatisfy { upload in !uploads.contains { $0.key == upload.key } }
                }
                try await fleet.until("the worker says so", [worker]) { worker.errorText.contains("claim_lost") }
                let states = try await fleet.session.execute(
                    "SELECT worker_id, attempt, state FROM bda.job WHERE job_id = '\(job.id)'", action: "read the job")
                #expect(states.rows == [["thief", "2", "running"]])

                try await thief.execute(
                    "SELECT bda.end_attempt('\(job.id)', 2, 'retry', 'test', 'given back', NULL, 0)",
                    action: "give the job back")
                await thief.close()
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await run.succeeds()
                #expect(try await fleet.attempts(of: job.id) == ["lost", "retry", "completed"])
                try await fleet.drain(worker)
            }
        }

        @Test("a job whose lease could not be renewed in time, because the ledger did not answer, is stopped as well")
        func ledgerIsOutOfReach() async throws {
            let settings = Self.settings.merging(["BDA_LEASE_SECONDS": "3"]) { _, new in new }
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("alone")
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                let job = try await fleet.jobAtGate(of: "alone")
                let uploads = try await fleet.untilUploading(worker)

                let wall = try await PostgresSession.connect(fleet.administrator, purpose: "wall")
                try await wall.execute("BEGIN; LOCK TABLE bda.job IN ACCESS EXCLUSIVE MODE", action: "shut the ledger")
                try await fleet.until("its session and its uploads are gone", [worker]) {
                    guard try await fleet.isGone(job) else { return false }
                    let left = try await fleet.store.pendingUploads(prefix: "billing/")
                    return left.allSatisfy { upload in !uploads.contains { $0.key == upload.key } }
                }
                try await fleet.until("the worker says so", [worker]) { worker.errorText.contains("lease_over") }
                await wall.close()
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await run.succeeds()
                #expect(try await fleet.attempts(of: job.id) == ["lost", "completed"])
                try await fleet.drain(worker)
            }
        }
    }
}

extension Fleet {
    /// A job under way, and the session that does it.
    fileprivate struct JobAtWork {
        var id: String
        var pid: String
        var start: String
    }

    fileprivate func jobAtGate(of workerID: String) async throws -> JobAtWork {
        let rows = try await session.execute(
            """
            SELECT j.job_id, j.backend_pid, j.backend_start FROM bda.job AS j
            JOIN pg_locks AS l ON l.pid = j.backend_pid AND l.locktype = 'advisory' AND NOT l.granted
            WHERE j.state = 'running' AND j.segment = 'tripica.gated' AND j.worker_id = '\(workerID)'
            """, action: "look for the job at the gate"
        ).rows
        let row = try #require(rows.first)
        return JobAtWork(id: row[0] ?? "", pid: row[1] ?? "", start: row[2] ?? "")
    }

    fileprivate func isGone(_ job: JobAtWork) async throws -> Bool {
        try await session.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = \(job.pid) AND backend_start = '\(job.start)')",
            action: "look for the session"
        ).firstValue == "t"
    }

    /// Waits until the only job at the gate has begun an upload.
    fileprivate func untilUploading(_ worker: Program) async throws -> [PendingUpload] {
        var uploads: [PendingUpload] = []
        try await until("an upload is begun", [worker]) {
            uploads = try await store.pendingUploads(prefix: "billing/")
            return !uploads.isEmpty
        }
        return uploads
    }

    /// How a job's attempts ended, in order.
    func attempts(of jobID: String) async throws -> [String] {
        try await session.execute(
            "SELECT COALESCE(outcome, 'none') FROM bda.attempt WHERE job_id = '\(jobID)' ORDER BY attempt",
            action: "read the attempts"
        ).rows.map { $0[0] ?? "" }
    }
}

import Postgres
import TestSupport
import Testing
import Scripts
import Ledger
import Warehouse

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(2)))
struct SnapshotTests {
    private struct Vault {
        let role: PostgresConfiguration
        let owner: PostgresSession

        static func with(_ body: (Vault) async throws -> Void) async throws {
            try await TestPostgres.withDatabase { role, _ in
                let owner = try await PostgresSession.connect(role, purpose: "vault")
                try await owner.execute(
                    "CREATE SCHEMA vault; CREATE TABLE vault.hub (n int); INSERT INTO vault.hub SELECT generate_series(1, 3)",
                    action: "make a vault")
                try await body(Vault(role: role, owner: owner))
                await owner.close()
            }
        }

        func session() async throws -> PostgresSession { try await PostgresSession.connect(role, purpose: "test") }

        /// A table's rows, as the session's transaction sees them.
        func rows(in session: PostgresSession) async throws -> String? {
            try await session.execute("SELECT count(*) FROM vault.hub", action: "count").firstValue
        }
    }

    /// From keeper to keeper, as when each holder dies in turn.
    @Test func aSnapshotLivesAsLongAsAnyKeeper() async throws {
        try await Vault.with { vault in
            var snapshot = try await Snapshot.export(on: try await vault.session(), locking: ["vault.hub"])
            try await vault.owner.execute("DELETE FROM vault.hub", action: "change the vault")
            for _ in 0..<3 {
                let next = try await Snapshot.adopt(
                    snapshot.id, on: try await vault.session(), locking: ["vault.hub"])
                #expect(next.id != snapshot.id)
                await snapshot.release()
                snapshot = next
            }
            let reader = try await vault.session()
            _ = try await WorkTransaction.begin(in: reader, snapshotID: snapshot.id, locking: ["vault.hub"])
            #expect(try await vault.rows(in: reader) == "3")
            await reader.close()
            await snapshot.release()
        }
    }

    /// TRUNCATE would be seen in spite of the snapshot.
    @Test func ddlIsKeptAwayByEachHolderAndByJobs() async throws {
        try await Vault.with { vault in
            let first = try await Snapshot.export(on: try await vault.session(), locking: ["vault.hub"])
            let second = try await Snapshot.adopt(first.id, on: try await vault.session(), locking: ["vault.hub"])
            await first.release()
            let job = try await vault.session()
            _ = try await WorkTransaction.begin(in: job, snapshotID: second.id, locking: ["vault.hub"])
            for holder in [second.session, job] {
                let error = await #expect(throws: PostgresError.self) {
                    try await vault.owner.execute(
                        "SET lock_timeout = 100; TRUNCATE vault.hub", action: "empty the vault")
                }
                #expect(error?.sqlState == "55P03")
                await holder.close()
            }
            try await vault.owner.execute("TRUNCATE vault.hub", action: "empty the vault")
        }
    }

    @Test func withNobodyLeftItIsLostAndTheSessionCanTryAnother() async throws {
        try await Vault.with { vault in
            let lost = try await Snapshot.export(on: try await vault.session(), locking: [])
            await lost.release()
            let session = try await vault.session()
            await #expect(throws: WorkTransaction.SnapshotLost.self) {
                _ = try await Snapshot.adopt(lost.id, on: session, locking: ["vault.hub"])
            }
            await #expect(throws: WorkTransaction.SnapshotLost.self) {
                _ = try await WorkTransaction.begin(in: session, snapshotID: lost.id, locking: ["vault.hub"])
            }
            let alive = try await Snapshot.export(on: try await vault.session(), locking: [])
            _ = try await WorkTransaction.begin(in: session, snapshotID: alive.id, locking: ["vault.hub"])
            #expect(try await vault.rows(in: session) == "3")
            await session.close()
            await alive.release()
        }
    }

    /// Who queues for an exclusive lock lets no reader pass: that is an error with a name, not a job that hangs.
    @Test func aJobDoesNotWaitForEverBehindWhoeverWaitsForAnExclusiveLock() async throws {
        try await Vault.with { vault in
            let snapshot = try await Snapshot.export(on: try await vault.session(), locking: ["vault.hub"])
            let (intruder, job) = (try await vault.session(), try await vault.session())
            async let truncated = intruder.execute("TRUNCATE vault.hub", action: "empty the vault")
            while try await vault.owner.execute(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted", action: "look"
            ).firstValue == "0" {}
            let error = await #expect(throws: PostgresError.self) {
                _ = try await WorkTransaction.begin(
                    in: job, snapshotID: snapshot.id, locking: ["vault.hub"], lockWait: .milliseconds(100))
            }
            #expect(error?.sqlState == "55P03" && error?.isRetryable == true)
            #expect(error?.hint?.contains("ACCESS EXCLUSIVE") == true)
            intruder.cancel()
            _ = try? await truncated
            await intruder.close()
            await job.close()
            // With nobody in the way, what follows the locks waits as long as it must.
            let reader = try await vault.session()
            _ = try await WorkTransaction.begin(in: reader, snapshotID: snapshot.id, locking: ["vault.hub"])
            let timeout = try await reader.execute("SHOW lock_timeout", action: "look")
            #expect(timeout.firstValue == "0")
            await reader.close()
            await snapshot.release()
        }
    }
}

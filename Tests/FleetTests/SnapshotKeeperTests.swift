import Foundation
import Glibc
import JobModel
import Postgres
import Testing

extension WholeSystem {
    @Suite struct SnapshotKeeperTests {
        private static let settings = ["BDA_PARTITIONS": "4", "BDA_WORKER_SLOTS": "1", "BDA_LEASE_SECONDS": "3"]

        @Test(
            "a coordinator is killed while vaults are read: as long as a worker lives, the same run reads on as of its begin"
        )
        func oneWorkerLives() async throws {
            try await Fleet.with(Self.settings, scripts: Fleet.gatedInit) { fleet in
                let (one, two) = (try fleet.worker("one"), try fleet.worker("two"))
                try await fleet.run().succeeds()
                let undisturbed = try await Export.latest(in: fleet.store)

                let gate = try await fleet.closeGate()
                let killed = try fleet.run("--new")
                try await fleet.untilAtGate(one, two)
                let runID = try await fleet.newestRun()
                try await fleet.until(
                    "SELECT count(*) = 2 FROM bda.snapshot_keeper WHERE run_id = '\(runID)'", killed, one)
                // DDL pierces snapshots: each keeper holds the lock that keeps it away.
                let locks = try await fleet.session.execute(
                    """
                    SELECT count(*) FROM bda.snapshot_keeper AS k JOIN pg_locks AS l ON l.pid = k.backend_pid
                    WHERE l.relation = 'datalake_vault.hub_charge'::regclass AND l.mode = 'AccessShareLock' AND l.granted
                    """, action: "look at the keepers' locks")
                #expect(locks.firstValue == "2")
                let first = try await fleet.snapshotID(of: runID)
                // Who read anything else than the run's snapshot from now on would export nothing.
                try await fleet.session.execute("DELETE FROM datalake_vault.hub_charge", action: "change the vault")

                killed.kill()
                two.kill()
                try await fleet.untilGone("bda coordinator%")
                // Without a coordinator a new worker reads in the run's snapshot as well.
                let three = try fleet.worker("three")
                try await fleet.untilAtGate(three)
                let next = try fleet.run()
                try await fleet.until("SELECT owner_number = 2 FROM bda.run WHERE run_id = '\(runID)'", next)
                try await fleet.until("SELECT snapshot_id <> '\(first)' FROM bda.run WHERE run_id = '\(runID)'", next)
                // One that loses the session in which it holds the snapshot takes it over again.
                let second = try await fleet.snapshotID(of: runID)
                try await fleet.endSnapshotSession(of: next)
                try await fleet.until("SELECT snapshot_id <> '\(second)' FROM bda.run WHERE run_id = '\(runID)'", next)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                try await next.succeeds()
                await gate.close()

                let export = try await Export.latest(in: fleet.store)
                #expect(export.run.run.runID.description == runID)
                #expect(export.parts.sorted() == undisturbed.parts.sorted())
                // After that nobody holds anything.
                try await fleet.untilGone("bda worker snapshot")
                try await fleet.until("NOT EXISTS (SELECT FROM bda.snapshot_keeper)")
                try await fleet.drain(one, three)
            }
        }

        @Test(
            "coordinator and workers are all killed while vaults are read: a new run begins by itself, with the same files"
        )
        func allAreKilled() async throws {
            try await Fleet.with(Self.settings, scripts: Fleet.gatedInit) { fleet in
                let (one, two) = (try fleet.worker("one"), try fleet.worker("two"))
                try await fleet.run().succeeds()
                let undisturbed = try await Export.latest(in: fleet.store)

                let gate = try await fleet.closeGate()
                let killed = try fleet.run("--new")
                try await fleet.untilAtGate(one, two)
                let runID = try await fleet.newestRun()
                for program in [killed, one, two] { program.kill() }
                try await fleet.untilGone("bda coordinator%")
                try await fleet.untilGone("bda worker%")
                let (three, four) = (try fleet.worker("three"), try fleet.worker("four"))
                let next = try fleet.run()
                try await fleet.until("SELECT max(run_id) > '\(runID)' FROM bda.run", next)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                try await next.succeeds()
                await gate.close()

                let lost = try await fleet.session.execute(
                    "SELECT state, exit_code, reason LIKE 'snapshot_lost:%' FROM bda.run WHERE run_id = '\(runID)'",
                    action: "read the lost run")
                #expect(lost.rows == [["failed", "14", "t"]])
                let export = try await Export.latest(in: fleet.store)
                #expect(export.run.run.runID.description > runID)
                #expect(export.run.replacesRunID == undisturbed.run.run.runID)
                #expect(export.parts.sorted() == undisturbed.parts.sorted())
                try await fleet.drain(three, four)
            }
        }

        @Test(
            "a load during the run changes nothing of a dataset that is read straight from the vault, nor of its totals"
        )
        func archiveOfTheVault() async throws {
            let settings = ["BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "1"]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts(reads: "vault")) { fleet in
                let worker = try fleet.worker("one")
                let charges = try await fleet.session.execute(
                    "SELECT charge_no FROM datalake_vault.hub_charge ORDER BY charge_no COLLATE \"C\"", action: "read"
                ).rows.map { $0[0] }
                let gate = try await fleet.closeGate()
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                try await fleet.session.execute("DELETE FROM datalake_vault.hub_charge", action: "change the vault")
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await run.succeeds()
                let export = try await Export.latest(in: fleet.store)
                let exported = try export.records(of: "tripica.gated").map { $0["charge_no"] ?? nil }
                #expect(exported.sorted { ($0 ?? "") < ($1 ?? "") } == charges)
                try await fleet.untilGone("bda worker snapshot")
                try await fleet.drain(worker)
            }
        }

        @Test("a snapshot that nobody keeps and that is lost three times ends the coordinator with exit code 14")
        func isLostThrice() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                let run = try fleet.run()
                for number in 1...3 {
                    try await fleet.until(
                        "SELECT count(*) = \(number) AND max(run_id) = max(run_id) FILTER (WHERE graph_at IS NOT NULL) FROM bda.run",
                        run)
                    try await fleet.endSnapshotSession(of: run)
                }
                #expect(try await run.ended() == .exit(14), run.report)
                #expect(run.errorText.contains("snapshot_lost"), run.report)
                let runs = try await fleet.session.execute(
                    "SELECT state, exit_code, count(*) FROM bda.run GROUP BY 1, 2", action: "read the runs")
                #expect(runs.rows == [["failed", "14", "3"]])
            }
        }
    }
}

extension Fleet {
    /// Waits until no session of our programs in the database has a name like this.
    func untilGone(_ name: String) async throws {
        try await until(
            """
            NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '\(name)')
            """)
    }

    /// Ends the session in which the coordinator holds the snapshot.
    fileprivate func endSnapshotSession(of coordinator: Program) async throws {
        try await until("the session that holds the snapshot is ended", [coordinator]) {
            try await session.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'bda coordinator snapshot'
                """, action: "end the session"
            ).firstValue == "t"
        }
    }

    fileprivate func snapshotID(of runID: String) async throws -> String {
        let result = try await session.execute(
            "SELECT snapshot_id FROM bda.run WHERE run_id = '\(runID)'", action: "read the run")
        return try #require(result.firstValue)
    }
}

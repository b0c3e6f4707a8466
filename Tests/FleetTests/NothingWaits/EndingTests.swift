import Foundation
import Glibc
import JobModel
import Postgres
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite struct EndingTests {
        @Test("8: a claim that is under way when the drain's time is over is given back, and the worker ends")
        func claimDuringDrain() async throws {
            let settings = ["BDA_PARTITIONS": "1", "BDA_WORKER_SLOTS": "1", "BDA_DRAIN_SECONDS": "1"]
            try await Fleet.with(settings, scripts: Fleet.gatedInit) { fleet in
                let gate = try await fleet.closeGate()
                let run = try fleet.run()
                try await fleet.until("EXISTS (SELECT FROM bda.run WHERE graph_at IS NOT NULL)", run)
                // A claim writes the attempt's row, for which it waits here.
                let wall = try await PostgresSession.connect(fleet.administrator, purpose: "wall")
                try await wall.execute("BEGIN; LOCK TABLE bda.attempt IN SHARE MODE", action: "hold claims up")
                let worker = try fleet.worker("one")
                try await fleet.until(
                    """
                    EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
                            WHERE a.datname = current_database() AND a.application_name LIKE 'bda worker%'
                              AND l.relation = 'bda.attempt'::regclass AND NOT l.granted)
                    """, worker)
                worker.signal(SIGTERM)
                try await fleet.until("the worker drains", [worker]) { worker.errorText.contains("signal received") }
                // Past the drain's budget, within which the sweep has stopped all jobs that had begun.
                let start = try await fleet.session.execute("SELECT clock_timestamp()", action: "look").firstValue ?? ""
                try await fleet.until(
                    "SELECT clock_timestamp() > timestamptz '\(start)' + interval '1500 milliseconds'")
                await wall.close()
                let ending = try await worker.ended(within: .seconds(15))
                #expect(ending == .exit(0) || ending == .exit(32), worker.report)
                try await fleet.open(gate)
                let next = try fleet.worker("two")
                try await run.succeeds()
                try await fleet.drain(next)
            }
        }

        @Test("8: a permanent SQL error in a history script is no reason to schedule the run again")
        func divisionByZero() async throws {
            let script = """
                -- Divides by zero.
                -- @segment tripica.broken_history
                -- @reads   run
                -- @writes  report_oibl.history_dates
                INSERT INTO report_oibl.history_dates SELECT d.* FROM report_oibl.history_dates AS d WHERE false;
                SELECT 1 / (n - n) FROM generate_series(1, 1) AS n

                """
            try await Fleet.with(
                ["BDA_PARTITIONS": "1", "BDA_MAX_ATTEMPTS": "2"],
                scripts: ["history/tripica_broken_history.sql": script]
            ) { fleet in
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                guard case .exit(let code) = try await run.ended() else {
                    Issue.record("it did not exit by itself")
                    return
                }
                #expect([11, 12].contains(code), run.report)
                #expect(run.errorText.contains("22012") || run.errorText.contains("division by zero"), run.report)
                // BI has the run: it was announced before.
                _ = try await Export.latest(in: fleet.store)
                try await fleet.drain(worker)
            }
        }

        @Test("8: first set-ups at once take turns, and all succeed")
        func firstSetups() async throws {
            try await Fleet.with(sample: false, isSetUp: false) { fleet in
                let setups = try (1...4).map { _ in try fleet.coordinator(["setup"]) }
                for setup in setups { try await setup.succeeds(within: .seconds(60)) }
                let twice = try await fleet.session.execute(
                    "SELECT count(*) - count(DISTINCT number) FROM bda.migration", action: "look at the migrations")
                #expect(twice.firstValue == "0")
            }
        }

        @Test("8: a unique violation at commit that is not the result's own is an error of the script")
        func foreignUniqueViolation() async throws {
            let scripts = [
                "tables/doubled.sql": """
                -- Charges, once.
                -- @table doubled
                CREATE TABLE :"work".doubled (
                    partition_no integer NOT NULL, charge_no text NOT NULL,
                    UNIQUE (partition_no, charge_no) DEFERRABLE INITIALLY DEFERRED)
                PARTITION BY LIST (partition_no)

                """,
                "init/tripica_doubled.sql": """
                -- Charges, twice.
                -- @segment tripica.doubled
                -- @reads   vault
                -- @writes  doubled
                INSERT INTO :"work".doubled (partition_no, charge_no)
                SELECT :'partition'::integer, h.charge_no
                FROM datalake_vault.hub_charge AS h CROSS JOIN generate_series(1, 2)
                WHERE bda.bucket(h.charge_hk, :'partition_count'::integer) = :'partition'::integer

                """,
            ]
            try await Fleet.with(["BDA_PARTITIONS": "1", "BDA_MAX_ATTEMPTS": "2"], scripts: scripts) { fleet in
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                #expect(try await run.ended() == .exit(11), run.report)
                #expect(run.errorText.contains("23505"), run.report)
                #expect(!worker.errorText.contains("another attempt has completed the job before"), worker.report)
                try await fleet.drain(worker)
            }
        }
    }
}

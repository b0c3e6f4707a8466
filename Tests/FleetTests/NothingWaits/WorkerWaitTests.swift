import Foundation
import Glibc
import JobModel
import Postgres
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite struct WorkerWaitTests {
        /// A dataset whose first attempts fail as by a serialization failure, for as long as a row says so.
        private static let stumbling = [
            "archive/tripica_stumbling.sql": """
            -- A dataset that stumbles.
            -- @segment tripica.stumbling
            -- @needs   tripica.data_charges
            -- @reads   run
            -- @key     charge_no
            SELECT charge_no, :'business_date'::date AS business_date, public.stumble(charge_no) AS trouble
            FROM :"work".data_charges WHERE partition_no = :'partition'::integer ORDER BY charge_no COLLATE "C"

            """
        ]

        private static let stumble = """
            CREATE TABLE public.trouble (at integer);
            INSERT INTO public.trouble VALUES (1);
            GRANT SELECT ON public.trouble TO PUBLIC;
            CREATE FUNCTION public.stumble(charge_no text) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT FROM public.trouble) THEN
                    RAISE EXCEPTION 'stumbled' USING ERRCODE = '40001';
                END IF;
                RETURN 0;
            END $$;
            """

        @Test("4: jobs in a backoff longer than BDA_WORKER_WAIT_SECONDS do not count as jobs without workers")
        func backoff() async throws {
            let settings = [
                "BDA_PARTITIONS": "1", "BDA_WORKER_WAIT_SECONDS": "3", "BDA_RETRY_BASE_SECONDS": "20",
                "BDA_RETRY_MAX_SECONDS": "20",
            ]
            try await Fleet.with(settings, scripts: Self.stumbling) { fleet in
                try await fleet.session.execute(Self.stumble, action: "make the trouble")
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await fleet.until("EXISTS (SELECT FROM bda.attempt WHERE outcome = 'retry')", run, worker)
                let pause = try await fleet.session.execute(
                    "SELECT max(not_before) - clock_timestamp() > interval '5 seconds' FROM bda.job WHERE state = 'ready'",
                    action: "look at the backoff")
                #expect(pause.firstValue == "t", "the backoff is too short for this test")
                try await fleet.session.execute("DELETE FROM public.trouble", action: "end the trouble")
                try await run.succeeds()
                try await fleet.drain(worker)
            }
        }

        @Test("4: a second date that waits behind the long jobs of a first does not end as if there were no workers")
        func secondDate() async throws {
            let settings = ["BDA_PARTITIONS": "1", "BDA_WORKER_SLOTS": "1", "BDA_WORKER_WAIT_SECONDS": "3"]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one")
                let first = try fleet.run()
                try await fleet.untilAtGate(worker)
                let second = try fleet.coordinator(["run", "--date", "2026-01-05"])
                try await fleet.until(
                    """
                    EXISTS (SELECT FROM bda.run WHERE business_date = '2026-01-05'
                            AND graph_at < clock_timestamp() - interval '9 seconds')
                    """, second)
                #expect(second.ending == nil, second.report)
                try await fleet.open(gate)
                try await first.succeeds()
                try await second.succeeds()
                try await fleet.drain(worker)
            }
        }

        @Test("4: without a worker a run ends with exit code 13 when BDA_WORKER_WAIT_SECONDS are over")
        func noWorker() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1", "BDA_WORKER_WAIT_SECONDS": "3"]) { fleet in
                let run = try fleet.run()
                #expect(try await run.ended() == .exit(13), run.report)
                #expect(run.errorText.contains("BDA_WORKER_WAIT_SECONDS"), run.report)
                #expect(try await fleet.newestRunEnding().state == "failed")
            }
        }

        @Test("4: an outage of the database longer than BDA_WORKER_WAIT_SECONDS is not taken for a lack of workers")
        func databaseOutage() async throws {
            let settings = [
                "BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "1", "BDA_WORKER_WAIT_SECONDS": "4",
                "BDA_LEASE_SECONDS": "3",
                "BDA_DB_CONNECT_TIMEOUT_SECONDS": "2",
            ]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let proxy = try TCPProxy(to: fleet.role.port)
                defer { proxy.close() }
                let line = ["BDA_DB_PORT": "\(proxy.port)"]
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one", settings: line)
                let run = try fleet.run(settings: line)
                try await fleet.untilAtGate(worker)
                let start = try await fleet.session.execute("SELECT clock_timestamp()", action: "look").firstValue ?? ""
                proxy.set(.refusing)
                // The length of the outage is what is tested.
                try await fleet.until("SELECT clock_timestamp() > timestamptz '\(start)' + interval '10 seconds'")
                #expect(run.ending == nil, run.report)
                proxy.set(.open)
                try await fleet.open(gate)
                try await run.succeeds()
                try await fleet.drain(worker)
            }
        }

        @Test("a run's time counts from its start, whichever coordinator goes on with it")
        func runTimeout() async throws {
            let settings = ["BDA_PARTITIONS": "1", "BDA_RUN_TIMEOUT_SECONDS": "3600"]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one")
                let first = try fleet.run()
                try await fleet.untilAtGate(worker)
                first.kill()
                try await fleet.untilGone("bda coordinator%")
                try await fleet.session.execute(
                    "UPDATE bda.run SET started_at = started_at - interval '2 hours'", action: "make the run old")
                let second = try fleet.run()
                #expect(try await second.ended() == .exit(13), second.report)
                #expect(second.errorText.contains("BDA_RUN_TIMEOUT_SECONDS"), second.report)
                let ending = try await fleet.newestRunEnding()
                #expect(ending.state == "failed" && ending.exitCode == "13", "\(ending)")
                try await fleet.open(gate)
                try await fleet.drain(worker)
            }
        }

        @Test("a run whose time is over after its jobs were done is not published any more")
        func runTimeoutInLaterStep() async throws {
            let settings = ["BDA_PARTITIONS": "1", "BDA_RUN_TIMEOUT_SECONDS": "3600"]
            try await Fleet.with(settings) { fleet in
                try await fleet.session.execute(Laboratory.locks, action: "make the locks")
                let gate = try await PostgresSession.connect(fleet.administrator, purpose: "gate")
                try await gate.execute("SELECT pg_advisory_lock(\(Moment.verified.lock))", action: "close the gate")
                let worker = try fleet.worker("one")
                let first = try fleet.run()
                try await fleet.until(Fleet.waits("bda coordinator%"), first)
                first.kill()
                try await fleet.untilGone("bda coordinator%")
                await gate.close()
                try await fleet.session.execute(
                    "UPDATE bda.run SET started_at = started_at - interval '2 hours'", action: "make the run old")
                let second = try fleet.run()
                #expect(try await second.ended() == .exit(13), second.report)
                #expect(try await fleet.keys().contains { $0.hasSuffix("latest.json") } == false)
                try await fleet.drain(worker)
            }
        }
    }
}

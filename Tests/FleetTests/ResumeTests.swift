import Foundation
import Glibc
import JobModel
import Kafka
import Postgres
import Testing
import TestSupport
import CloudEventsKafka

extension WholeSystem {
    @Suite struct ResumeTests {
        /// On which side of the record of a step a coordinator is killed.
        enum Moment: String, CaseIterable, CustomTestStringConvertible {
            /// The step's work is done, and the ledger does not know it.
            case before
            /// The ledger has the step, and nothing of the next was done.
            case after

            var testDescription: String { rawValue }
        }

        @Test("a coordinator that is killed at each step in turn goes on with the same run", arguments: Moment.allCases)
        func killedAtEachStep(_ moment: Moment) async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"]) { fleet in
                let worker = try fleet.worker("one")
                try await fleet.run().succeeds()
                let undisturbed = try await Export.latest(in: fleet.store)
                let steps = try await StepGate(fleet)

                // Before the jobs are written there is nothing to go on with.
                let first = try await steps.killed(.before, "graph")
                let begun = try await steps.killed(moment, "verified")
                #expect(begun > first)
                for step in ["published", "announced", "history", "closed"] {
                    #expect(try await steps.killed(moment, step) == begun, "\(step)")
                    // It holds for BI, too: before `published` it follows the former run.
                    if moment == .after {
                        let latest = try await Export.latest(in: fleet.store).run.run.runID.description
                        #expect(latest == begun, "\(step)")
                    }
                }
                await steps.close()
                let last = moment == .before ? try fleet.run("--new") : try fleet.run()
                try await last.succeeds()
                #expect(
                    last.outputText.contains(moment == .before ? "is complete\n" : "is complete already"), last.report)

                let runs = try await fleet.session.execute(
                    "SELECT run_id, state, exit_code FROM bda.run ORDER BY run_id", action: "read the runs")
                #expect(
                    runs.rows == [
                        [undisturbed.run.run.runID.description, "closed", nil], [first, "failed", "31"],
                        [begun, "closed", nil],
                    ])
                let export = try await Export.latest(in: fleet.store)
                #expect(export.run.run.runID.description == begun)
                #expect(export.run.replacesRunID == undisturbed.run.run.runID)
                #expect(export.parts.sorted() == undisturbed.parts.sorted())
                // Told again, it is the same event.
                let topics = Topics(prefix: try #require(fleet.environment["BDA_TOPIC_PREFIX"]))
                let completions = try await fleet.completions(of: begun, on: topics.runs)
                #expect(completions.count >= (moment == .before ? 2 : 1))
                #expect(Set(completions).count == 1)
                let history = try await fleet.session.execute(
                    """
                    SELECT count(*), count(DISTINCT customer_no) FROM report_oibl.oibl_customer_history
                    WHERE valid_to IS NULL
                    """, action: "read the history")
                let customers = "\(try export.records(of: "oibl.customer").count)"
                #expect(history.rows == [[customers, customers]])
                try await fleet.drain(worker)
            }
        }

        @Test(
            "--takeover ends a frozen coordinator and all it has begun; woken, it changes nothing",
            arguments: ["jobs", "history"])
        func takenOver(in stage: String) async throws {
            let script = """
                -- A history that waits.
                -- @segment tripica.gated_history
                -- @reads   run
                -- @writes  report_oibl.history_dates
                DELETE FROM report_oibl.history_dates WHERE false;
                SELECT public.wait_at_gate(gate.number) FROM (SELECT 4711 AS number OFFSET 0) AS gate

                """
            let scripts = stage == "jobs" ? Fleet.gatedScripts() : ["history/tripica_gated_history.sql": script]
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: scripts) { fleet in
                let worker = try fleet.worker("one")
                let gate = try await fleet.closeGate()
                let frozen = try fleet.run()
                if stage == "jobs" {
                    try await fleet.untilAtGate(worker)
                } else {
                    try await fleet.until(Fleet.waits("bda coordinator"), frozen)
                }
                let runID = try await fleet.newestRun()
                frozen.signal(SIGSTOP)
                let refused = try fleet.run()
                #expect(try await refused.ended() == .exit(30), refused.report)
                #expect(refused.errorText.contains("--takeover"), refused.report)

                let next = try fleet.run("--takeover")
                try await fleet.until("SELECT owner_number = 2 FROM bda.run WHERE run_id = '\(runID)'", next)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await next.succeeds()
                let export = try await Export.latest(in: fleet.store)
                #expect(export.run.run.runID.description == runID)
                try await fleet.until(
                    """
                    NOT EXISTS (SELECT FROM bda.result AS d JOIN bda.job AS j ON j.job_id = d.job_id
                                WHERE d.event_sent_at IS NULL)
                    """, next)
                let (keys, ledger) = (try await fleet.keys(), try await fleet.wholeLedger())

                frozen.signal(SIGCONT)
                let ending = try await frozen.ended()
                #expect(ending == .exit(20) || ending == .exit(30), frozen.report)
                #expect(try await fleet.keys() == keys)
                #expect(try await fleet.wholeLedger() == ledger)
                #expect(try await Export.latest(in: fleet.store).run == export.run)
                try await fleet.drain(worker)
            }
        }

        @Test(
            "all workers are replaced in mid-run: no finished job is done again, and only interrupted ones are repeated"
        )
        func rollingRestart() async throws {
            let settings = ["BDA_PARTITIONS": "4", "BDA_WORKER_SLOTS": "1", "BDA_DRAIN_SECONDS": "1"]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let old = (try fleet.worker("old1"), try fleet.worker("old2"))
                let run = try fleet.run()
                try await fleet.untilAtGate(old.0, old.1)
                let atGate = try await fleet.jobs("state = 'running' AND segment = 'tripica.gated'")
                let done = try await fleet.jobs("state = 'done'")
                #expect(atGate.count == 2 && !done.isEmpty)

                let new = (try fleet.worker("new1"), try fleet.worker("new2"))
                for worker in [old.0, old.1] { worker.signal(SIGTERM) }
                for worker in [old.0, old.1] { #expect(try await worker.ended() == .exit(32), worker.report) }
                try await fleet.untilAtGate(new.0, new.1)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await run.succeeds()

                #expect(try await fleet.jobs("attempt > 1") == atGate)
                for job in atGate { #expect(try await fleet.attempts(of: job) == ["interrupted", "completed"]) }
                #expect(try await fleet.jobs("attempt = 1 AND state = 'done'").isSuperset(of: done))
                try await fleet.drain(new.0, new.1)
            }
        }
    }
}

/// Stops coordinators where they record a step: a trigger on the run's row waits for a lock that the test holds.
private struct StepGate {
    let fleet: Fleet
    private let holder: PostgresSession
    private let wall: PostgresSession

    init(_ fleet: Fleet) async throws {
        self.fleet = fleet
        holder = try await PostgresSession.connect(fleet.administrator, purpose: "step gate")
        wall = try await PostgresSession.connect(fleet.administrator, purpose: "wall")
        try await fleet.session.execute(
            """
            CREATE FUNCTION public.wait_at_step() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF OLD.graph_at IS NULL AND NEW.graph_at IS NOT NULL THEN
                    PERFORM pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtext('graph'));
                END IF;
                IF NEW.state <> OLD.state THEN
                    PERFORM pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtext(NEW.state));
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER wait_at_step BEFORE UPDATE ON bda.run FOR EACH ROW EXECUTE FUNCTION public.wait_at_step()
            """, action: "make the steps' gate")
    }

    /// Starts a coordinator, kills it at a step, and returns the id of its run.
    func killed(_ moment: WholeSystem.ResumeTests.Moment, _ step: String) async throws -> String {
        try await holder.execute("SELECT pg_advisory_lock(hashtext('\(step)'))", action: "close the step's gate")
        let coordinator = try fleet.run("--new")
        try await fleet.until(Fleet.waits("bda coordinator ledger"), coordinator)
        let runID = try await fleet.newestRun()
        if moment == .after {
            // Queued behind the coordinator's statement, this has the table once the step is committed, and lets the
            // coordinator read or write nothing more.
            async let closed: Void = shut()
            try await fleet.until(
                """
                EXISTS (SELECT FROM pg_locks WHERE relation = 'bda.run'::regclass AND mode = 'AccessExclusiveLock'
                        AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
                """, coordinator)
            try await openGate(step)
            try await closed
            let state = try await wall.execute("SELECT state FROM bda.run WHERE run_id = '\(runID)'", action: "look")
            #expect(state.firstValue == step)
        }
        #expect(coordinator.ending == nil, coordinator.report)
        coordinator.kill()
        try await fleet.untilGone("bda coordinator%")
        if moment == .after { try await wall.execute("COMMIT", action: "give the ledger back") }
        if moment == .before {
            let state = try await fleet.session.execute(
                "SELECT state FROM bda.run WHERE run_id = '\(runID)'", action: "look")
            #expect(state.firstValue != step)
            try await openGate(step)
        }
        return runID
    }

    func close() async {
        await holder.close()
        await wall.close()
    }

    private func openGate(_ step: String) async throws {
        try await holder.execute("SELECT pg_advisory_unlock(hashtext('\(step)'))", action: "open the step's gate")
    }

    private func shut() async throws {
        try await wall.execute("BEGIN; LOCK TABLE bda.run IN ACCESS EXCLUSIVE MODE", action: "shut the ledger")
    }
}

extension Fleet {
    /// That a session of the name waits for an advisory lock.
    static func waits(_ name: String) -> String {
        """
        EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
                WHERE a.datname = current_database() AND a.application_name LIKE '\(name)' AND l.locktype = 'advisory'
                  AND NOT l.granted)
        """
    }

    /// The ids of the newest run's jobs for which a condition holds.
    func jobs(_ condition: String) async throws -> Set<String> {
        Set(
            try await session.execute(
                "SELECT job_id FROM bda.job WHERE run_id = (SELECT max(run_id) FROM bda.run) AND \(condition)",
                action: "read the jobs"
            ).rows.compactMap { $0[0] })
    }

    /// All rows of runs, jobs, attempts and results, as text.
    fileprivate func wholeLedger() async throws -> [[String?]] {
        try await session.execute(
            """
            SELECT r::text FROM bda.run AS r UNION ALL SELECT j::text FROM bda.job AS j
            UNION ALL SELECT a::text FROM bda.attempt AS a UNION ALL SELECT d::text FROM bda.result AS d ORDER BY 1
            """, action: "read the ledger"
        ).rows
    }

    /// The ids of the completion events of a run that are on the topic.
    fileprivate func completions(of runID: String, on topic: String) async throws -> [String] {
        let reader = try await KafkaTopicReader.make(
            configuration: kafka, topic: topic, from: .beginning, logger: TestKafka.logger)
        var ids: [String] = []
        // All of them have been confirmed; the topic has no end to wait for.
        while let message = try await reader.next(within: .seconds(5)) {
            guard let event = try? message.event(of: RunCompleted.self), event.run.runID.description == runID else {
                continue
            }
            ids.append(message.header("ce_id")?.text ?? "none")
        }
        try await reader.close()
        return ids
    }
}

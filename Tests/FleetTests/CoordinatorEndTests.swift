import Foundation
import Glibc
import JobModel
import Postgres
import Testing

extension WholeSystem {
    @Suite struct CoordinatorEndTests {
        @Test("a coordinator that is stopped or killed goes on with its run; a second one is refused")
        func resumes() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: Fleet.gatedScripts()) { fleet in
                let workers = (try fleet.worker("one"), try fleet.worker("two"))
                try await fleet.run().succeeds()
                let undisturbed = try await Export.latest(in: fleet.store)

                let gate = try await fleet.closeGate()
                let first = try fleet.run("--new")
                try await fleet.untilOnlyGated(first)
                let runID = try await fleet.newestRun()

                let second = try fleet.run()
                #expect(try await second.ended() == .exit(30), second.report)
                let holder = try await fleet.session.execute(
                    """
                    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid <> 0
                        AND mode = 'ExclusiveLock' AND database = (
                            SELECT oid FROM pg_database WHERE datname = current_database())
                    """,
                    action: "look up who holds the date"
                ).firstValue
                #expect(second.errorText.contains("database session \(holder ?? "?"),"), second.report)

                first.signal(SIGTERM)
                #expect(try await first.ended() == .exit(31), first.report)
                let status = try fleet.coordinator(["status"])
                try await status.succeeds()
                #expect(status.outputText.contains(runID), status.report)
                #expect(status.outputText.split(separator: "\n").last?.hasPrefix("next: ") == true, status.report)
                let resumed = try fleet.run()
                try await fleet.until("SELECT owner_number = 2 FROM bda.run WHERE run_id = '\(runID)'", resumed)
                resumed.kill()
                #expect(try await resumed.ended() == .signal(SIGKILL))
                let last = try fleet.run()
                try await fleet.until("SELECT owner_number = 3 FROM bda.run WHERE run_id = '\(runID)'", last)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                try await last.succeeds()
                await gate.close()

                let export = try await Export.latest(in: fleet.store)
                #expect(export.run.run.runID.description == runID)
                #expect(export.parts.sorted() == undisturbed.parts.sorted())
                try await fleet.drain(workers.0, workers.1)
            }
        }
    }
}

extension Fleet {
    /// Waits until the jobs of the gated dataset, and no others, are left of the newest run.
    func untilOnlyGated(_ run: Program) async throws {
        try await until(
            """
            SELECT count(*) FILTER (WHERE segment = 'tripica.gated' AND state = 'running') = 2
                   AND count(*) FILTER (WHERE segment <> 'tripica.gated' AND state <> 'done') = 0
            FROM bda.job WHERE run_id = (SELECT max(run_id) FROM bda.run WHERE state = 'running')
            """, run)
    }
}

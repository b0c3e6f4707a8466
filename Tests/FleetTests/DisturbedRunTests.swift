import Foundation
import Glibc
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem {
    @Suite struct DisturbedRunTests {
        @Test("workers that are stopped, killed and frozen in mid-run change no byte of what is exported")
        func workersEnd() async throws {
            let settings = [
                "BDA_MAX_ROW_SIZE_FILE": "40", "BDA_PARTITIONS": "8", "BDA_WORKER_SLOTS": "1", "BDA_LEASE_SECONDS": "3",
            ]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let quiet = try fleet.worker("quiet")
                try await fleet.run().succeeds()
                try await fleet.drain(quiet)
                let undisturbed = try await Export.latest(in: fleet.store)
                #expect(undisturbed.parts.contains { $0.dataset == "tripica.gated" && $0.file.hasSuffix("-00002.csv") })

                let gate = try await fleet.closeGate()
                let drained = try fleet.worker("drained")
                let hasty = try fleet.worker("hasty", settings: ["BDA_DRAIN_SECONDS": "1"])
                let killed = try fleet.worker("killed")
                let frozen = try fleet.worker("frozen")
                let run = try fleet.run("--new")
                try await fleet.untilAtGate(drained, hasty, killed, frozen)
                let runID = try await fleet.newestRun()
                // Each has begun to upload a file of the job that it does not finish, and others are done.
                try await fleet.until("the first files are uploaded", [run]) {
                    let uploads = try await fleet.store.pendingUploads(prefix: "billing/acme/dev/tripica/gated/")
                    return Set(uploads.map(\.key)).count { $0.hasSuffix("-00001.csv") } == 4
                }
                try await fleet.until("EXISTS (SELECT FROM bda.job WHERE run_id = '\(runID)' AND state = 'done')", run)

                killed.kill()
                frozen.signal(SIGSTOP)
                hasty.signal(SIGTERM)
                drained.signal(SIGTERM)
                #expect(try await hasty.ended(within: .seconds(20)) == .exit(32), hasty.report)
                try await fleet.until("the worker drains", [drained]) { drained.errorText.contains("signal received") }
                #expect(drained.ending == nil, "it did not wait for its job")
                let last = try fleet.worker("last")
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await drained.succeeds()
                try await run.succeeds()

                let disturbed = try await Export.latest(in: fleet.store)
                #expect(disturbed.run.run.runID.description == runID)
                #expect(disturbed.parts.sorted() == undisturbed.parts.sorted())
                #expect(disturbed.run.datasets.map(\.totals) == undisturbed.run.datasets.map(\.totals))
                let outcomes = try await fleet.outcomes(of: runID)
                #expect(outcomes["drained"]?.isSubset(of: ["completed"]) == true, "\(outcomes)")
                #expect(outcomes["hasty"]?.contains("interrupted") == true, "\(outcomes)")
                #expect(outcomes["killed"]?.contains("lost") == true, "\(outcomes)")
                #expect(outcomes["frozen"]?.contains("lost") == true, "\(outcomes)")

                // The frozen one wakes up, finds that its claim is gone, and changes nothing.
                frozen.signal(SIGCONT)
                try await fleet.drain(frozen, last)
                #expect(try await Export.latest(in: fleet.store).parts == disturbed.parts)
                #expect(try await fleet.outcomes(of: runID) == outcomes)
            }
        }
    }
}

extension Fleet {
    /// The id of the run that was begun last.
    func newestRun() async throws -> String {
        let result = try await session.execute("SELECT max(run_id) FROM bda.run", action: "read the runs")
        return try #require(result.firstValue)
    }

    /// How the attempts of a run ended, by worker.
    func outcomes(of runID: String) async throws -> [String: Set<String>] {
        let rows = try await session.execute(
            "SELECT worker_id, outcome FROM bda.attempt WHERE job_id LIKE '\(runID)/%'", action: "read the attempts"
        ).rows
        return rows.reduce(into: [:]) { $0[$1[0] ?? "", default: []].insert($1[1] ?? "none") }
    }
}

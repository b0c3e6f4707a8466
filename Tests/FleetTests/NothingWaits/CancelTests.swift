import Foundation
import Glibc
import JobModel
import ObjectStore
import Postgres
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite struct CancelTests {
        @Test("5: cancel of a run that is being published is refused, and its publisher goes on as if nothing were")
        func publishing() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                let port = try #require(
                    fleet.environment["BDA_S3_ENDPOINT"].flatMap { URLComponents(string: $0)?.port })
                let store = try StoreProxy(to: port)
                defer { store.close() }
                store.spoil(1, .held) { $0.isLatest }
                let worker = try fleet.worker("one")
                let run = try fleet.run(settings: ["BDA_S3_ENDPOINT": "http://127.0.0.1:\(store.port)"])
                try await fleet.until("latest.json is about to be moved", [run]) { store.heldTarget != nil }
                let cancel = try fleet.coordinator(["cancel", "--date", SampleWarehouse.date])
                #expect(try await cancel.ended(within: .seconds(30)) == .exit(2), cancel.report)
                let owner = try await fleet.session.execute("SELECT owner_number FROM bda.run", action: "look")
                #expect(owner.firstValue == "1")
                store.release()
                try await run.succeeds()
                #expect(try await fleet.newestRunEnding().state == "closed")
                _ = try await Export.latest(in: fleet.store)
                try await fleet.drain(worker)
            }
        }

        @Test(
            "9: a run that is cancelled in mid-run ends its coordinator with that word, and its jobs are no longer claimable"
        )
        func midRun() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                try await fleet.coordinator(["cancel", "--date", SampleWarehouse.date]).succeeds()
                let ending = try await run.ended(within: .seconds(30))
                #expect(ending != .exit(0) && ending != .exit(1), run.report)
                #expect(run.errorText.contains("cancel"), run.report)
                #expect(!run.errorText.contains("another coordinator"), run.report)
                #expect(try await fleet.newestRunEnding().state == "cancelled")
                try await fleet.open(gate)
                // The index of the claim holds nothing of ended runs.
                try await fleet.until(
                    """
                    NOT EXISTS (SELECT FROM bda.job AS j JOIN bda.run AS r USING (run_id)
                                WHERE r.state = 'cancelled' AND j.state IN ('ready', 'running'))
                    """, worker)
                try await fleet.drain(worker)
            }
        }
    }
}

import Foundation
import Glibc
import JobModel
import Postgres
import Testing

extension WholeSystem.NothingWaits {
    @Suite struct VersionTests {
        @Test("6: a ledger that is older than the programs is refused at their start, with exit code 3 and what to do")
        func olderLedger() async throws {
            try await Fleet.with(sample: false) { fleet in
                try await fleet.session.execute(
                    "DELETE FROM bda.migration WHERE number = (SELECT max(number) FROM bda.migration)",
                    action: "make the ledger older")
                try await Self.areRefused(in: fleet, ["bda-coordinator setup", "older"])
            }
        }

        @Test("6: a ledger of a next version that the programs do not work with is refused at their start")
        func newerLedger() async throws {
            try await Fleet.with(sample: false) { fleet in
                try await NextVersion(isCompatible: false).setUp(fleet.role)
                try await Self.areRefused(in: fleet, ["newer"])
            }
        }

        private static func areRefused(in fleet: Fleet, _ words: [String]) async throws {
            for program in [try fleet.worker("one"), try fleet.run()] {
                #expect(try await program.ended(within: .seconds(30)) == .exit(3), program.report)
                for word in words { #expect(program.errorText.contains(word), program.report) }
            }
        }

        @Test("6: a ledger of a next version that works with the programs is set up in mid-run, and the run goes on")
        func compatibleLedger() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                try await NextVersion(isCompatible: true).setUp(fleet.role)
                let changed = try await fleet.session.execute(
                    "SELECT prosrc LIKE '%As the next version has it%' FROM pg_proc WHERE proname = 'claim'",
                    action: "look at the function")
                #expect(changed.firstValue == "t")
                let newcomer = try fleet.worker("two")
                try await fleet.open(gate)
                try await run.succeeds()
                #expect(try await fleet.jobs("attempt > 1").isEmpty)
                // Another coordinator of the version before begins a run beside workers of both.
                try await fleet.run("--new").succeeds()
                try await fleet.drain(worker, newcomer)
            }
        }
    }
}

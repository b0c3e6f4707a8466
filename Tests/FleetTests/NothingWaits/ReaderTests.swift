import Foundation
import Glibc
import JobModel
import Postgres
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite struct ReaderTests {
        @Test("2: a reader in an open transaction delays the replacement of its view and nothing else; status tells it")
        func readerHoldsView() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"]) { fleet in
                let worker = try fleet.worker("one")
                try await fleet.run().succeeds()
                let first = try await Export.latest(in: fleet.store)
                let reader = try await PostgresSession.connect(fleet.administrator, purpose: "reader")
                try await reader.execute("BEGIN; SELECT count(*) FROM report_oibl.data_charges", action: "read")

                // It is not in the way of the run's begin and jobs.
                let run = try fleet.run("--new")
                try await fleet.until(
                    "SELECT count(*) = 1 FROM bda.run WHERE state = 'verified'", within: .seconds(60), run)
                try await fleet.until("status tells what the publication waits for", [run]) {
                    let status = try fleet.coordinator(["status"])
                    try await status.succeeds()
                    return status.outputText.contains("waiting: the views of report_oibl")
                        && status.outputText.contains("bda reader")
                }
                // New readers do not queue behind the replacement.
                let other = try await PostgresSession.connect(fleet.administrator, purpose: "other reader")
                for _ in 1...20 {
                    try await other.execute(
                        "SET statement_timeout = '8s'; SELECT count(*) FROM report_oibl.data_charges", action: "read")
                }
                await other.close()
                #expect(run.ending == nil, run.report)
                #expect(try await Export.latest(in: fleet.store).run == first.run)
                try await reader.execute("COMMIT", action: "end the reader's transaction")
                await reader.close()
                try await run.succeeds()
                #expect(try await Export.latest(in: fleet.store).run.replacesRunID == first.run.run.runID)
                try await fleet.drain(worker)
            }
        }

        @Test("2: a reader of an old run's table is not in the way of the next run's begin, and clean names the schema")
        func readerHoldsOldTable() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"]) { fleet in
                let worker = try fleet.worker("one")
                try await fleet.run().succeeds()
                let old = "bda_run_\(try await fleet.newestRun())"
                try await fleet.run("--new").succeeds()
                let reader = try await PostgresSession.connect(fleet.administrator, purpose: "reader")
                try await reader.execute("BEGIN; SELECT count(*) FROM \(old).data_charges", action: "read")
                // It drops what it can of the first run's schema, and goes on.
                try await fleet.run("--new").succeeds(within: .seconds(60))
                let clean = try fleet.coordinator(["clean", "--apply"])
                _ = try await clean.ended(within: .seconds(60))
                #expect((clean.outputText + clean.errorText).contains(old), clean.report)
                try await reader.execute("COMMIT", action: "end the reader's transaction")
                await reader.close()
                try await fleet.coordinator(["clean", "--apply"]).succeeds()
                let left = try await fleet.session.execute(
                    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bda\\_run\\_%'", action: "look for schemas")
                #expect(left.firstValue == "1")
                try await fleet.drain(worker)
            }
        }
    }
}

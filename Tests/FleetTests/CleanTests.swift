import Foundation
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem {
    @Suite struct CleanTests {
        @Test("clean removes files of failed runs and dates beyond the retention, and nothing that a latest.json names")
        func retention() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                let worker = try fleet.worker("one")
                let (old, date) = ("2026-01-05", SampleWarehouse.date)
                try await fleet.run().succeeds()
                let kept = try await Export.latest(in: fleet.store)
                // An older date is published beside it: the views and the latest of all dates stay.
                try await fleet.coordinator(["run", "--date", old]).succeeds()
                #expect(try await Export.latest(in: fleet.store).run == kept.run)
                #expect(try await fleet.keys().contains("billing/acme/dev/manifests/dt=\(old)/latest.json"))
                let shown = try await fleet.session.execute(
                    "SELECT DISTINCT business_date::text FROM report_oibl.data_balances", action: "read the view"
                ).rows
                #expect(shown == [[date]])

                // A run that fails after some of its files are there.
                let broken = try fleet.run(
                    "--new", settings: ["BDA_SCRIPTS_DIR": "\(Fleet.scripts):\(try brokenScripts(in: fleet.folder))"])
                #expect(try await broken.ended() == .exit(11), broken.report)
                let failed = try await fleet.newestRun()
                #expect(try await fleet.keys().contains { $0.contains("run=\(failed)/") })

                let look = try fleet.coordinator(["clean"], settings: ["BDA_RETENTION_DAYS": "5"])
                try await look.succeeds()
                #expect(look.outputText.contains("of failed run \(failed) of \(date)"), look.report)
                #expect(look.outputText.contains("of \(old) and its ledger rows"), look.report)
                #expect(look.outputText.hasSuffix("next: bda-coordinator clean --apply\n"), look.report)
                #expect(try await fleet.keys().contains { $0.contains("dt=\(old)/") })

                try await fleet.coordinator(["clean", "--apply"]).succeeds()
                #expect(try await fleet.keys().contains { $0.contains("run=\(failed)/") } == false)
                #expect(
                    try await fleet.keys().contains { $0.contains("dt=\(old)/") }, "the retention is off by default")

                let apply = try fleet.coordinator(["clean", "--apply"], settings: ["BDA_RETENTION_DAYS": "5"])
                try await apply.succeeds()
                #expect(try await fleet.keys().contains { $0.contains("dt=\(old)/") } == false)
                let left = try await fleet.session.execute(
                    """
                    SELECT count(*) FROM bda.run WHERE business_date = '\(old)'
                    UNION ALL SELECT count(*) FROM bda.part WHERE key LIKE '%dt=\(old)%'
                    UNION ALL SELECT count(*) FROM bda.job AS j WHERE NOT EXISTS (SELECT FROM bda.run AS r WHERE r.run_id = j.run_id)
                    """, action: "look for rows of the old run"
                ).rows.compactMap { $0[0] }
                #expect(left == ["0", "0", "0"])
                #expect(try await Export.latest(in: fleet.store).parts == kept.parts)
                let again = try fleet.coordinator(["clean", "--apply"], settings: ["BDA_RETENTION_DAYS": "5"])
                try await again.succeeds()
                #expect(again.outputText == "nothing to clean\n", again.report)
                try await fleet.drain(worker)
            }
        }

        /// A dataset that is rejected once all others have their files.
        private func brokenScripts(in folder: TemporaryFolder) throws -> String {
            try folder.write(
                """
                -- Divides by zero.
                -- @segment oibl.broken
                -- @needs   oibl.customer_list
                -- @split   none
                -- @reads   run
                -- @key     customer_no
                SELECT customer_no, :'business_date'::date AS business_date, 1 / (accounts - accounts) AS broken
                FROM :"work".oibl_customer ORDER BY customer_no COLLATE "C"

                """, to: "broken/archive/oibl_broken.sql")
            return "\(folder.path)/broken"
        }
    }
}

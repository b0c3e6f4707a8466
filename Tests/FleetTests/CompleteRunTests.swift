import Foundation
import JobModel
import Kafka
import Postgres
import Testing
import TestSupport
import CloudEventsKafka

extension WholeSystem {
    @Suite struct CompleteRunTests {
        @Test("a whole date: files, manifests, totals, events and views are what plain SQL says")
        func completeRun() async throws {
            try await Fleet.with(["BDA_MAX_ROW_SIZE_FILE": "150"]) { fleet in
                let workers = (try fleet.worker("one"), try fleet.worker("two"))
                let first = try fleet.run()
                try await first.succeeds()
                let export = try await Export.latest(in: fleet.store)
                #expect(first.outputText.contains("run \(export.run.run.runID) of \(SampleWarehouse.date) is complete"))
                #expect(export.run.replacesRunID == nil)
                #expect(export.run.datasets.count == 8)
                #expect(export.parts.contains { $0.file.hasSuffix("-00002.csv") }, "no dataset has a second part")
                let expected = try await ExpectedRows(fleet.session)
                try await compareRows(export, expected)
                try await compareBalances(export, expected)
                try compareTotals(export)
                try await checkEvents(export, fleet)
                try await checkViews(export, fleet)

                // The date again: nothing happens unless it is asked for.
                let again = try fleet.run()
                try await again.succeeds()
                #expect(again.outputText.contains("is complete already, by run \(export.run.run.runID)"), again.report)
                #expect(try await Export.latest(in: fleet.store).run == export.run)

                let new = try fleet.run("--new")
                try await new.succeeds()
                let replaced = try await Export.latest(in: fleet.store)
                #expect(replaced.run.run.runID > export.run.run.runID)
                #expect(replaced.run.replacesRunID == export.run.run.runID)
                #expect(replaced.manifests.values.allSatisfy { $0.replacesRunID == export.run.run.runID })
                #expect(replaced.parts == export.parts)
                try await checkViews(replaced, fleet)
                try await fleet.drain(workers.0, workers.1)
            }
        }

        /// Same rows, none twice, none missing, byte for byte in every field.
        private func compareRows(_ export: Export, _ expected: ExpectedRows) async throws {
            for (dataset, view) in ExpectedRows.viewsOfDatasets {
                let rows = try await expected.rows(of: view)
                try #require(!rows.isEmpty, "the sample has no \(dataset)")
                // A boolean is `t` on either way; numbers, dates and timestamps have one text each.
                let found = try #require(export.rows[dataset]).map(\.fields)
                expectSame(found, rows, dataset)
            }
        }

        private func expectSame(_ found: [[String?]], _ expected: [[String?]], _ dataset: String) {
            let counts = { (rows: [[String?]]) in rows.reduce(into: [[String?]: Int]()) { $0[$1, default: 0] += 1 } }
            let (found, expected) = (counts(found), counts(expected))
            let wrong = found.filter { expected[$0.key] != $0.value }
            let missing = expected.filter { found[$0.key] == nil }
            #expect(wrong.isEmpty, "\(dataset) has rows that are not expected, such as \(wrong.prefix(3))")
            #expect(missing.isEmpty, "\(dataset) lacks rows, such as \(missing.prefix(3))")
        }

        private func compareBalances(_ export: Export, _ expected: ExpectedRows) async throws {
            let balances = try await expected.balances()
            let records = try export.records(of: "tripica.balances")
            #expect(records.count == balances.count)
            for record in records {
                let account = (record["account_no"] ?? nil) ?? ""
                let balance = try #require(balances[account], "account \(account) is not expected")
                #expect(record["customer_no"] == balance.customer)
                #expect(record["business_date"] == SampleWarehouse.date)
                for (name, cents) in balance.cents {
                    #expect(ExpectedRows.cents(record[name]) == cents, "\(name) of account \(account)")
                }
                #expect(record["oldest_due_date"] == .some(balance.oldestDueDate), "account \(account)")
            }
            let booked = try await expected.booked()
            let customers = try export.records(of: "oibl.customer")
            #expect(Set(customers.map { $0["customer_no"] }).count == customers.count)
            #expect(customers.count == booked.count)
            let names = balances.values.first.map { Array($0.cents.keys) } ?? []
            let byCustomer = Dictionary(grouping: balances.values, by: \.customer)
            for record in customers {
                let customer = (record["customer_no"] ?? nil) ?? ""
                let own = byCustomer[customer] ?? []
                #expect(record["accounts"] == "\(own.count)", "customer \(customer)")
                for name in names {
                    let sum = own.reduce(0) { $0 + ($1.cents[name] ?? 0) }
                    #expect(ExpectedRows.cents(record[name]) == sum, "\(name) of customer \(customer)")
                }
                let charged = own.reduce(0) { $0 + ($1.cents["charged"] ?? 0) }
                #expect(ExpectedRows.cents(record["booked"]) == booked[customer], "customer \(customer)")
                #expect(ExpectedRows.cents(record["difference"]) == charged - (booked[customer] ?? 0))
                let reasons = ["not_booked", "booked_later", "not_charged", "amount_differs"]
                let explained = reasons.reduce(0) { $0 + (ExpectedRows.cents(record[$1]) ?? 0) }
                #expect(ExpectedRows.cents(record["difference"]) == explained, "customer \(customer)")
            }
        }

        /// The manifest's control totals are the sums over the files' rows.
        private func compareTotals(_ export: Export) throws {
            for dataset in export.run.datasets {
                #expect(!dataset.totals.isEmpty, "\(dataset.name)")
                let records = try export.records(of: dataset.name.description)
                for total in dataset.totals {
                    let cents = records.reduce(0) { sum, record in
                        sum + (record["currency"] == total.currency ? ExpectedRows.cents(record[total.name]) ?? 0 : 0)
                    }
                    #expect(ExpectedRows.cents(total.amount.description) == cents, "\(dataset.name) \(total.name)")
                }
            }
        }

        private func checkEvents(_ export: Export, _ fleet: Fleet) async throws {
            let run = export.run.run
            let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
            let messages = try await fleet.messages(of: topics.runs) { message in
                message.header("ce_type")?.text == RunCompleted.type
            }
            let types = messages.compactMap { $0.header("ce_type")?.text }
            #expect(types == [RunStarted.type, RunCompleted.type])
            let completed = try #require(messages.last)
            let headers = Dictionary(uniqueKeysWithValues: completed.headers.map { ($0.name, $0.text ?? "") })
            #expect(headers["ce_specversion"] == "1.0" && headers["ce_id"] == "\(run.runID)/completed")
            #expect(headers["ce_subject"] == "\(SampleWarehouse.date)/\(run.runID)")
            #expect(headers["ce_source"]?.hasPrefix("/bda/coordinator/") == true)
            #expect(headers["ce_time"]?.hasSuffix("Z") == true)
            #expect(headers["content-type"] == "application/json")
            let event = try completed.event(of: RunCompleted.self)
            #expect(event.run == run && event.body.replacesRunID == nil)
            #expect(event.body.manifestURI.hasSuffix("/run=\(run.runID)/run.json"))
            #expect(event.body.datasets.map(\.name) == export.run.datasets.map(\.name))
            #expect(event.body.datasets.map(\.totals) == export.run.datasets.map(\.totals))

            let jobs = Set(
                try await fleet.session.execute(
                    "SELECT job_id FROM bda.job WHERE run_id = '\(run.runID)'", action: "read the jobs"
                ).rows.compactMap { $0[0] })
            var announced: Set<String> = []
            _ = try await fleet.messages(of: topics.events) { message in
                if let event = try? message.event(of: JobCompleted.self) {
                    announced.insert(event.body.jobID.description)
                }
                return announced.count == jobs.count
            }
            #expect(announced == jobs)
        }

        private func checkViews(_ export: Export, _ fleet: Fleet) async throws {
            for (view, dataset) in [
                ("data_charges", "tripica.charges"), ("data_balances", "tripica.balances"),
                ("data_bookings", "bookkeeper.bookings"), ("oibl_customer", "oibl.customer"),
            ] {
                let count = try await fleet.session.execute(
                    "SELECT count(*) FROM report_oibl.\(view) WHERE business_date = '\(SampleWarehouse.date)'",
                    action: "read a view"
                ).firstValue
                #expect(count == "\(export.rows[dataset]?.count ?? -1)", "report_oibl.\(view)")
                let schema = "bda_run_\(export.run.run.runID)"
                let definition = try await fleet.session.execute(
                    "SELECT pg_get_viewdef('report_oibl.\(view)'::regclass)", action: "read a view's definition"
                ).firstValue
                #expect(definition?.contains(schema) == true, "report_oibl.\(view) does not show \(schema)")
            }
        }
    }
}

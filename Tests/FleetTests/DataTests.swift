import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import Testing
import TestSupport
import CloudEventsKafka

extension WholeSystem {
    @Suite struct DataTests {
        /// One way in which data can be broken.
        private struct Fault: Sendable {
            /// The precheck that finds it.
            let check: String
            /// What breaks it, and what mends it again.
            let breaks: String
            let mends: String
            /// What the screen says beside the check's name.
            var says: [String] = []
        }

        private static let newestLine = """
            (document_hk, load_dts, line_no) = (
                SELECT document_hk, load_dts, line_no FROM bookkeeper_vault.TABLE AS l
                WHERE load_dts <= '\(SampleWarehouse.cutoff)' AND NOT EXISTS (
                    SELECT FROM bookkeeper_vault.TABLE AS n WHERE n.document_hk = l.document_hk AND n.load_dts > l.load_dts)
                ORDER BY document_hk, line_no LIMIT 1)
            """

        private static func line(of table: String) -> String { newestLine.replacing("TABLE", with: table) }

        private static let faults: [Fault] = [
            Fault(
                check: "bookkeeper.journal_balances",
                breaks:
                    "UPDATE bookkeeper_vault.msat_journal_line SET amount = amount + 12.34 WHERE \(line(of: "msat_journal_line"))",
                mends:
                    "UPDATE bookkeeper_vault.msat_journal_line SET amount = amount - 12.34 WHERE \(line(of: "msat_journal_line"))",
                says: ["1 violating row", "12.34", "document_no"]),
            Fault(
                check: "tripica.no_future_rows",
                breaks: """
                    INSERT INTO datalake_vault.sat_payment
                    SELECT payment_hk, clock_timestamp() + interval '2 hours', 'future', hash_diff, value_date, currency, amount,
                           method, status, reference FROM datalake_vault.sat_payment LIMIT 1
                    """, mends: "DELETE FROM datalake_vault.sat_payment WHERE record_source = 'future'",
                says: ["1 violating row", "datalake_vault.sat_payment"]),
            Fault(
                check: "bookkeeper.no_future_rows",
                breaks: """
                    INSERT INTO bookkeeper_vault.hub_document
                    VALUES ('\\xf0', clock_timestamp() + interval '2 hours', 'future', '1000', 2026, '1')
                    """, mends: "DELETE FROM bookkeeper_vault.hub_document WHERE record_source = 'future'",
                says: ["bookkeeper_vault.hub_document"]),
            Fault(
                check: "tripica.loads_complete",
                breaks: """
                    UPDATE dunning_vault.load_control SET business_date = business_date - 10000
                    WHERE satellite = 'sat_dunning_case' AND business_date = '\(SampleWarehouse.date)'
                    """,
                mends:
                    "UPDATE dunning_vault.load_control SET business_date = business_date + 10000 WHERE business_date < '2020-01-01'",
                says: ["dunning_vault.sat_dunning_case", "no load"]),
            Fault(
                check: "bookkeeper.loads_complete",
                breaks: """
                    UPDATE bookkeeper_vault.load_control SET finished_at = NULL
                    WHERE satellite = 'msat_tax_line' AND business_date = '\(SampleWarehouse.date)'
                    """,
                mends:
                    "UPDATE bookkeeper_vault.load_control SET finished_at = started_at + interval '3 hours' WHERE finished_at IS NULL",
                says: ["bookkeeper_vault.msat_tax_line", "load not finished"]),
            Fault(
                check: "tripica.loads_complete",
                breaks: """
                    UPDATE datalake_vault.load_control SET row_count = row_count + 1
                    WHERE satellite = 'sat_charge' AND load_name = 'nightly' AND business_date = '\(SampleWarehouse.date)'
                    """,
                mends: """
                    UPDATE datalake_vault.load_control SET row_count = row_count - 1
                    WHERE satellite = 'sat_charge' AND load_name = 'nightly' AND business_date = '\(SampleWarehouse.date)'
                    """, says: ["datalake_vault.sat_charge", "rows are missing or too many"]),
            Fault(
                check: "tripica.hubs_complete",
                breaks: "INSERT INTO datalake_vault.hub_customer VALUES ('\\xf1', '2026-01-01', 'broken', 'K-without')",
                mends: "DELETE FROM datalake_vault.hub_customer WHERE record_source = 'broken'",
                says: ["K-without", "no version in datalake_vault.sat_customer"]),
            Fault(
                check: "bookkeeper.hubs_complete",
                breaks:
                    "INSERT INTO bookkeeper_vault.hub_document VALUES ('\\xf2', '2026-01-01', 'broken', '1000', 2026, '77')",
                mends: "DELETE FROM bookkeeper_vault.hub_document WHERE record_source = 'broken'",
                says: ["1000/2026/77", "no partner in bookkeeper_vault.link_document_partner"]),
            Fault(
                check: "tripica.hubs_known",
                breaks: """
                    INSERT INTO datalake_vault.link_payment_account
                    SELECT '\\xf3', '\\xf4', account_hk, '2026-01-01', 'broken' FROM datalake_vault.hub_account LIMIT 1
                    """, mends: "DELETE FROM datalake_vault.link_payment_account WHERE record_source = 'broken'",
                says: ["datalake_vault.hub_payment", "f4"]),
            Fault(
                check: "bookkeeper.hubs_known",
                breaks: """
                    INSERT INTO bookkeeper_vault.link_document_partner
                    SELECT '\\xf5', document_hk, '\\xf6', '2026-01-01', 'broken' FROM bookkeeper_vault.hub_document LIMIT 1
                    """, mends: "DELETE FROM bookkeeper_vault.link_document_partner WHERE record_source = 'broken'",
                says: ["bookkeeper_vault.hub_business_partner", "f6"]),
            Fault(
                check: "tripica.keys_unique",
                breaks: """
                    INSERT INTO datalake_vault.link_charge
                    SELECT '\\xf7', charge_hk, contract_hk, account_hk, '2026-01-01', 'broken'
                    FROM datalake_vault.link_charge WHERE load_dts < '2026-01-01' LIMIT 1
                    """, mends: "DELETE FROM datalake_vault.link_charge WHERE record_source = 'broken'",
                says: ["is linked more than once"]),
            Fault(
                check: "bookkeeper.keys_unique",
                breaks: """
                    INSERT INTO bookkeeper_vault.hub_document
                    SELECT '\\xf8', '2026-01-01', 'broken', company_code, fiscal_year, document_no
                    FROM bookkeeper_vault.hub_document WHERE load_dts < '2026-01-01' LIMIT 1
                    """, mends: "DELETE FROM bookkeeper_vault.hub_document WHERE record_source = 'broken'",
                says: ["business key occurs more than once"]),
            Fault(
                check: "bookkeeper.tax_matches_rate",
                breaks:
                    "UPDATE bookkeeper_vault.msat_tax_line SET tax_amount = tax_amount + 0.02 WHERE \(line(of: "msat_tax_line"))",
                mends:
                    "UPDATE bookkeeper_vault.msat_tax_line SET tax_amount = tax_amount - 0.02 WHERE \(line(of: "msat_tax_line"))",
                says: ["1 violating row", "0.02"]),
            Fault(
                check: "tripica.tax_matches_rate",
                breaks:
                    "UPDATE datalake_vault.sat_charge SET amount_gross = amount_gross + 1, record_source = 'broken' WHERE load_dts = (SELECT min(load_dts) FROM datalake_vault.sat_charge AS s WHERE NOT EXISTS (SELECT FROM datalake_vault.sat_charge AS n WHERE n.charge_hk = s.charge_hk AND n.load_dts > s.load_dts))",
                mends:
                    "UPDATE datalake_vault.sat_charge SET amount_gross = amount_gross - 1, record_source = 'tripica.billing' WHERE record_source = 'broken'",
                says: ["1 violating row", "1.00"]),
            Fault(
                check: "bookkeeper.one_currency",
                breaks:
                    "UPDATE bookkeeper_vault.sat_document SET currency = 'CHF' WHERE load_dts = (SELECT min(load_dts) FROM bookkeeper_vault.sat_document)",
                mends: "UPDATE bookkeeper_vault.sat_document SET currency = 'EUR'", says: ["CHF"]),
            Fault(
                check: "tripica.one_currency",
                breaks:
                    "UPDATE datalake_vault.sat_account SET currency = 'CHF' WHERE load_dts = (SELECT min(load_dts) FROM datalake_vault.sat_account)",
                mends: "UPDATE datalake_vault.sat_account SET currency = 'EUR'",
                says: ["CHF", "datalake_vault.sat_account"]),
            Fault(
                check: "warehouse.may_publish", breaks: "ALTER SCHEMA report_oibl OWNER TO CURRENT_USER",
                mends: "ALTER SCHEMA report_oibl OWNER TO billing_aggregator", says: ["CREATE", "billing_aggregator"]),
        ]

        @Test(
            "each kind of broken data stops the run with its rows and exit code 10; nothing is exported, latest stays")
        func prechecksFail() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"]) { fleet in
                let worker = try fleet.worker("one")
                try await fleet.run().succeeds()
                let before = try await fleet.keys()
                let latest = try await Export.latest(in: fleet.store)
                for fault in Self.faults {
                    try await fleet.session.execute(fault.breaks, action: "break the data for \(fault.check)")
                    let run = try fleet.run("--new")
                    #expect(try await run.ended() == .exit(10), run.report)
                    for text in ["\(fault.check) (error): ", "hint: "] + fault.says {
                        #expect(run.errorText.contains(text), "\(fault.check): no '\(text)' in \(run.report)")
                    }
                    #expect(try await fleet.keys() == before, "\(fault.check): something was exported")
                    try await fleet.session.execute(fault.mends, action: "mend the data for \(fault.check)")
                }
                #expect(try await Export.latest(in: fleet.store).run == latest.run)
                let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
                var failed = 0
                _ = try await fleet.messages(of: topics.runs) { message in
                    if let event = try? message.event(of: RunFailed.self), event.body.exitCode == 10 { failed += 1 }
                    return failed == Self.faults.count
                }

                // Mended, the same command begins a new run, and the same bytes come out.
                try await fleet.run("--new").succeeds()
                let mended = try await Export.latest(in: fleet.store)
                #expect(mended.run.replacesRunID == latest.run.run.runID)
                #expect(mended.parts == latest.parts)
                try await fleet.drain(worker)
            }
        }

        /// Text as people type it, and what CSV makes difficult.
        private static let texts = """
            SELECT * FROM (VALUES
                (1, 'plain'), (2, 'with "quotes"'), (3, 'a, comma'), (4, E'two\\nlines'), (5, E'carriage\\r\\nreturn'),
                (6, 'Größe, Straße, Übermaß'), (7, '🔌⚡️ 👩‍🔧'), (8, NULL), (9, ''), (10, ' spaces '), (11, '\\.'), (12, '"'),
                (13, E'tab\\there'), (14, 'NULL'), (15, ','), (16, E'\\n')
            ) AS t (text_no, content)
            """

        @Test("no rows give header-only files; a dataset of SQL files only; text as PostgreSQL's COPY writes it")
        func emptyTablesAndTexts() async throws {
            let texts = """
                -- Texts.
                -- @segment tripica.texts
                -- @split   none
                -- @reads   run
                -- @key     text_no
                SELECT text_no, :'business_date'::date AS business_date, content FROM (\(Self.texts)) AS x ORDER BY text_no

                """
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: ["archive/tripica_texts.sql": texts]) { fleet in
                try await fleet.emptyVaults()
                // Without the prechecks, which rightly find that no load has come.
                for name in ["migrations", "ledger", "tables", "init", "archive", "postchecks"] {
                    try FileManager.default.createDirectory(
                        atPath: "\(fleet.folder.path)/unchecked", withIntermediateDirectories: true)
                    try FileManager.default.createSymbolicLink(
                        atPath: "\(fleet.folder.path)/unchecked/\(name)",
                        withDestinationPath: "\(Fleet.scripts)/\(name)")
                }
                let scripts = "\(fleet.folder.path)/unchecked:\(fleet.folder.path)/scripts"
                let worker = try fleet.worker("one")
                try await fleet.run(settings: ["BDA_SCRIPTS_DIR": scripts]).succeeds()
                try await fleet.drain(worker)

                let export = try await Export.latest(in: fleet.store)
                for dataset in export.run.datasets where dataset.name.description != "tripica.texts" {
                    #expect(dataset.rows == 0 && dataset.parts == 2 && dataset.bytes > 0, "\(dataset.name)")
                    #expect(dataset.totals.isEmpty, "\(dataset.name) \(dataset.totals)")
                }
                let manifest = try #require(export.manifests["tripica.texts"])
                let entry = try #require(manifest.entries.first)
                let key = try #require(fleet.store.key(forURI: entry.url))
                let bytes = try #require(try await fleet.store.get(key, limit: 1 << 20)).bytes
                let expected = try await fleet.psql(
                    """
                    COPY (SELECT text_no, DATE '\(SampleWarehouse.date)' AS business_date, content
                          FROM (\(Self.texts)) AS x ORDER BY text_no) TO STDOUT (FORMAT csv, HEADER)
                    """)
                #expect(String(decoding: bytes, as: UTF8.self) == expected)
                #expect(manifest.meta.recordCount == 16)
            }
        }
    }
}

extension Fleet {
    /// What psql writes to standard output for a command.
    fileprivate func psql(_ command: String) async throws -> String {
        let environment = Self.inherited.merging(administrator.libpqEnvironment) { _, new in new }
            .merging(["PGDATESTYLE": "ISO"]) { _, new in new }
        let program = try Program(
            "/usr/bin/env", ["psql", "--no-psqlrc", "--command=\(command)"], environment: environment, name: "psql",
            in: folder)
        defer { program.kill() }
        try await program.succeeds()
        return program.outputText
    }
}

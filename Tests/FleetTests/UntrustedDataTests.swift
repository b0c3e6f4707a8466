import JobModel
import Postgres
import Testing
import TestSupport

extension WholeSystem {
    /// What stands in the warehouse is data, whatever it looks like.
    @Suite struct UntrustedDataTests {
        /// A dataset whose currencies, which go through the statement that records a result, look like ends of literals.
        private static let script = """
            -- Texts that have broken out of quotes somewhere.
            -- @segment tripica.odd
            -- @reads   vault
            -- @split   none
            -- @key     id
            -- @totals  amount by currency
            SELECT id, :'business_date'::date AS business_date, currency, id::numeric(10, 2) AS amount
            FROM (VALUES (1, chr(39) || chr(769) || '); DROP SCHEMA bda CASCADE; --'),
                         (2, chr(92) || chr(39) || '); DROP SCHEMA bda CASCADE; --'),
                         (3, chr(39) || '); DROP SCHEMA bda CASCADE; --'),
                         (4, chr(34) || chr(769) || ',' || chr(10) || chr(92)),
                         (5, '$$' || chr(1) || ':' || chr(39) || 'partition' || chr(39))) AS odd (id, currency)
            ORDER BY id

            """

        private static let currencies = [
            "'\u{301}); DROP SCHEMA bda CASCADE; --", "\\'); DROP SCHEMA bda CASCADE; --",
            "'); DROP SCHEMA bda CASCADE; --",
            "\"\u{301},\n\\", "$$\u{1}:'partition'",
        ]

        @Test("texts of the warehouse that look like SQL are exported, summed and recorded as they are")
        func oddTexts() async throws {
            let settings = ["BDA_SYSTEMS": "tripica", "BDA_MAX_ATTEMPTS": "1"]
            try await Fleet.with(settings, scripts: ["archive/odd.sql": Self.script]) { fleet in
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await run.succeeds()
                try await fleet.drain(worker)
                let export = try await Export.latest(in: fleet.store)
                let texts = try export.records(of: "tripica.odd").compactMap { $0["currency"] ?? nil }
                // By bytes: Swift's == takes an accent for a part of the quote before it.
                #expect(texts.map { Array($0.utf8) } == Self.currencies.map { Array($0.utf8) })
                let totals = try #require(export.manifests["tripica.odd"]).totals
                #expect(totals.count == Self.currencies.count)
                for (index, currency) in Self.currencies.enumerated() {
                    let total = totals.first { Array($0.currency.utf8) == Array(currency.utf8) }
                    #expect(total?.amount.description == "\(index + 1).00", "\(currency)")
                }
                let recorded = try await fleet.session.execute(
                    "SELECT currency FROM bda.total WHERE job_id LIKE '%/tripica.odd/%' ORDER BY amount",
                    action: "read the ledger's totals"
                ).rows.map { Array(($0[0] ?? "").utf8) }
                #expect(recorded == Self.currencies.map { Array($0.utf8) })
            }
        }
    }
}

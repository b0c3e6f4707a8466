import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import Testing
import TestSupport

extension WholeSystem {
    @Suite struct DataTests {
        @Test("a failing precheck shows the rows, and nothing is exported")
        func precheckFails() async throws {
            try await Fleet.with { fleet in
                let line = try await fleet.session.execute(
                    """
                    SELECT h.document_no,
                           format('document_hk = %L AND load_dts = %L AND line_no = %s', l.document_hk, l.load_dts, l.line_no)
                    FROM bookkeeper_vault.msat_journal_line AS l JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
                    WHERE l.load_dts = (SELECT max(load_dts) FROM bookkeeper_vault.msat_journal_line AS n
                                        WHERE n.document_hk = l.document_hk)
                      AND l.load_dts <= '\(SampleWarehouse.cutoff)'
                    ORDER BY h.document_no, l.line_no LIMIT 1
                    """, action: "choose a journal line"
                ).rows[0]
                let (document, condition) = (try #require(line[0]), try #require(line[1]))
                func change(by amount: String) async throws {
                    try await fleet.session.execute(
                        "UPDATE bookkeeper_vault.msat_journal_line SET amount = amount + \(amount) WHERE \(condition)",
                        action: "change a journal line")
                }
                try await change(by: "12.34")
                let run = try fleet.run()
                #expect(try await run.ended() == .exit(10), run.report)
                #expect(run.errorText.contains("bookkeeper.journal_balances (error): 1 violating row"), run.report)
                #expect(run.errorText.contains(document), run.report)
                #expect(run.errorText.contains("12.34"), run.report)
                #expect(run.errorText.contains("hint: "), run.report)
                #expect(try await fleet.keys().isEmpty)
                let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
                let failed = try await fleet.messages(of: topics.runs) { _ in true }
                let event = try #require(failed.first).event(of: RunFailed.self)
                #expect(event.body.exitCode == 10)

                // Mended, the same command begins a new run.
                let worker = try fleet.worker("one")
                try await change(by: "-12.34")
                try await fleet.run().succeeds()
                #expect(try await Export.latest(in: fleet.store).run.replacesRunID == nil)
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

        @Test(
            "no rows give a header-only file and zeros; a dataset of SQL files only; text as PostgreSQL's COPY writes it"
        )
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
                try await fleet.session.execute(
                    """
                    DO $$ DECLARE name regclass; BEGIN
                        FOR name IN SELECT oid FROM pg_class
                                    WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE '%\\_vault' LOOP
                            EXECUTE format('TRUNCATE %s', name);
                        END LOOP;
                    END $$
                    """, action: "empty the vaults")
                // Without the prechecks, which rightly find that no load has come.
                for name in ["migrations", "tables", "init", "archive", "postchecks"] {
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
        let environment = Self.inherited.merging([
            "PGHOST": administrator.host, "PGPORT": "\(administrator.port)", "PGUSER": administrator.user,
            "PGDATABASE": administrator.database, "PGDATESTYLE": "ISO",
        ]) { _, new in new }
        let program = try Program(
            "/usr/bin/env", ["psql", "--no-psqlrc", "--command=\(command)"], environment: environment, name: "psql",
            in: folder)
        defer { program.kill() }
        try await program.succeeds()
        return program.outputText
    }
}

import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Postgres
import Scripts
import TestSupport
import Testing

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(3)))
struct LedgerSetupTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    /// A folder of scripts with the shipped functions and migrations, and what `change` makes of it.
    private func withScripts(
        _ change: (URL) throws -> Void, _ body: (LedgerSetup) async throws -> Void
    ) async throws {
        let copy = FileManager.default.temporaryDirectory.appending(path: "bda-ledger-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: copy) }
        try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
        for name in ["migrations", "ledger"] {
            try FileManager.default.copyItem(
                atPath: "\(LedgerFixture.scriptsFolder)/\(name)", toPath: copy.appending(path: name).path)
        }
        try change(copy)
        try await body(try LedgerSetup(folders: [copy.path]))
    }

    private func withSession(_ body: (PostgresSession, PostgresConfiguration) async throws -> Void) async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            try await body(session, role)
            await session.close()
        }
    }

    private func shipped() throws -> LedgerSetup { try LedgerSetup(folders: [LedgerFixture.scriptsFolder]) }

    @Test func theProgramsKnowTheNewestMigration() throws {
        #expect(try shipped().migrations.count == LedgerVersion.current)
    }

    @Test func whatIsPendingIsAppliedOnceAndAnEditedMigrationIsRefused() async throws {
        try await withSession { session, _ in
            let setup = try shipped()
            let changes = try await setup.apply(in: session)
            #expect(changes.migrations == setup.migrations && changes.functions == setup.functions)
            #expect(try await setup.apply(in: session).isEmpty)
            try await session.execute("UPDATE bda.migration SET digest = 'other' WHERE number = 1", action: "edit")
            await #expect(throws: LedgerMismatch.self) { try await setup.pending(in: session) }
        }
    }

    @Test func aFunctionThatWasChangedIsAppliedAgain() async throws {
        try await withSession { session, _ in
            _ = try await shipped().apply(in: session)
            try await withScripts { folder in
                let file = folder.appending(path: "ledger/bucket.sql")
                try String(contentsOf: file, encoding: .utf8)
                    .replacing("RETURN (", with: "RETURN 1000 + (").write(to: file, atomically: true, encoding: .utf8)
            } _: { setup in
                #expect(try await setup.pending(in: session).functions.map(\.name) == ["bucket"])
                let changes = try await setup.apply(in: session)
                #expect(changes.functions.map(\.name) == ["bucket"] && changes.migrations.isEmpty)
                let bucket = try await session.execute(
                    "SELECT bda.bucket('\\x000000', 4)", action: "call the function")
                #expect(bucket.firstValue == "1000")
                #expect(try await setup.pending(in: session).isEmpty)
            }
        }
    }

    @Test func aFunctionThatCannotBeAppliedLeavesAllAsTheyWere() async throws {
        try await withSession { session, role in
            _ = try await shipped().apply(in: session)
            try await withScripts { folder in
                for (name, text) in [("bucket", "integer AS 'no'"), ("advance", "void LANGUAGE sql AS 'SELECT 1'")] {
                    try
                        "CREATE OR REPLACE FUNCTION bda.\(name)(x \(name == "bucket" ? "int" : "text")) RETURNS \(text);"
                        .write(to: folder.appending(path: "ledger/\(name).sql"), atomically: true, encoding: .utf8)
                }
            } _: { setup in
                await #expect(throws: PostgresError.self) { try await setup.apply(in: session) }
                let second = try await PostgresSession.connect(role, purpose: "test")
                #expect(try await shipped().pending(in: second).isEmpty)
                let count = try await second.execute(
                    "SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 'bda'::regnamespace AND proname = 'advance'",
                    action: "count")
                #expect(count.firstValue == "1")
                await second.close()
            }
        }
    }

    /// A ledger that was made when migrations held functions too.
    @Test func aLedgerOfTheFormerMigrationsIsUpgraded() async throws {
        try await withSession { session, role in
            try await session.execute(
                """
                CREATE SCHEMA bda;
                CREATE TABLE bda.migration (
                    number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())
                """, action: "make the former ledger")
            let folder = Self.folder.appending(path: "FormerMigrations")
            for file in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() {
                let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
                try await session.execute(
                    """
                    BEGIN; \(text);
                    INSERT INTO bda.migration (number, name, digest) VALUES (\(file.prefix(4)), \(SQL.literal(file)),
                        pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(\(SQL.literal(text)), 'UTF8')), 'hex'));
                    COMMIT
                    """, action: "apply a former migration")
            }
            try await session.execute(Self.formerRuns, action: "fill the former ledger")
            let setup = try shipped()
            let changes = try await setup.apply(in: session)
            #expect(changes.migrations == Array(setup.migrations.dropFirst(5)))
            #expect(changes.functions == setup.functions)
            #expect(try await LedgerVersion.check(in: session, of: role) == LedgerVersion.current)
            let ledger = Ledger(role, purpose: "test")
            let run = try #require(try await ledger.runs.run(Self.formerRun))
            #expect(
                run.settings
                    == RunSettings(
                        partitionCount: 2, rowsPerPart: 10, uploadPieceBytes: 8, compression: .gzip,
                        compressionLevel: 6,
                        output: "file:///x", outputPrefix: "billing", maxAttempts: 3, retryBaseSeconds: 4,
                        retryMaxSeconds: 5, jobTimeoutSeconds: 60))
            let counts = try await ledger.status.jobCounts(of: Self.formerRun)
            #expect(counts.done == 1 && counts.cancelled == 3)
            await ledger.close()
            let rest = try await session.execute(
                "SELECT string_agg(job_id, ' ') FROM bda.result", action: "read the results")
            #expect(rest.firstValue == "\(Self.formerRun)/tripica.work/0000")
            // The upgraded ledger and a new one are the same.
            let upgraded = try await Self.definition(in: session)
            try await withSession { fresh, _ in
                _ = try await setup.apply(in: fresh)
                #expect(try await Self.definition(in: fresh) == upgraded)
            }
        }
    }

    private static let formerRun = try! RunID("20260401t031500123z_7f3a")

    /// A failed run with open jobs and one that is done, and the result of a history segment whose run was removed.
    private static let formerRuns = """
        INSERT INTO bda.run (run_id, client_id, environment, business_date, cutoff, systems, is_complete_set, partition_count,
            rows_per_part, upload_part_bytes, compression, compression_level, output, output_prefix, max_attempts,
            retry_base_seconds, retry_max_seconds, job_timeout_seconds, state, owner)
        VALUES ('\(formerRun)', 'acme', 'dev', '2026-03-31', now(), '{tripica}', true, 2, 10, 8, 'gzip', 6, 'file:///x',
            'billing', 3, 4, 5, 60, 'failed', 'test');
        INSERT INTO bda.job (job_id, run_id, segment, partition_no, state, attempt, expected_seconds)
        SELECT '\(formerRun)/tripica.work/000' || n, '\(formerRun)', 'tripica.work', n,
               (ARRAY['running', 'running', 'ready', 'blocked'])[n + 1], 1, 1
        FROM generate_series(0, 3) AS n;
        INSERT INTO bda.attempt (job_id, attempt, worker_id) SELECT job_id, 1, 'w' FROM bda.job WHERE state = 'running';
        INSERT INTO bda.result (job_id, attempt, worker_id, rows, bytes, duration_ms)
        VALUES ('\(formerRun)/tripica.work/0000', 1, 'w', 1, 1, 1), ('20250401t031500123z_7f3a/tripica.past/0000', 1, 'c', 1, 1, 1)
        """

    /// Columns, indexes, constraints and functions of schema `bda`.
    private static func definition(in session: PostgresSession) async throws -> [String?] {
        try await session.execute(
            """
            SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
                   || COALESCE(column_default, generation_expression, '')
            FROM information_schema.columns WHERE table_schema = 'bda'
            UNION ALL SELECT indexdef FROM pg_catalog.pg_indexes WHERE schemaname = 'bda'
            UNION ALL SELECT conrelid::regclass || ' ' || pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
                WHERE connamespace = 'bda'::regnamespace
            UNION ALL SELECT pg_catalog.pg_get_functiondef(oid) FROM pg_catalog.pg_proc WHERE pronamespace = 'bda'::regnamespace
            ORDER BY 1
            """, action: "read the ledger's definition"
        ).rows.map { $0[0] }
    }

    @Test func twoSetUpsOfAnEmptyDatabaseTakeTurns() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let setup = try shipped()
            let applied = try await withThrowingTaskGroup(of: LedgerSetup.Changes.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let session = try await PostgresSession.connect(role, purpose: "test")
                        let changes = try await setup.apply(in: session)
                        await session.close()
                        return changes
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(applied.count { !$0.isEmpty } == 1)
            #expect(applied.count { $0.isEmpty } == 3)
        }
    }

    @Test func anOlderLedgerIsRefusedAndANewerOneAsItsMigrationSays() async throws {
        try await withSession { session, role in
            let none = await #expect(throws: LedgerMismatch.self) {
                try await LedgerVersion.check(in: session, of: role)
            }
            #expect(none?.exitCode == .setupNeeded && none?.description.contains("has no ledger") == true)
            let next = LedgerVersion.current + 1
            try await withScripts { folder in
                try "-- @oldest-program \(next - 1)\nCREATE TABLE bda.another (x integer);".write(
                    to: folder.appending(path: "migrations/\(String(format: "%04d", next))_compatible.sql"),
                    atomically: true, encoding: .utf8)
                try "-- Changes what programs rely on.\nCREATE TABLE bda.third (x integer);".write(
                    to: folder.appending(path: "migrations/\(String(format: "%04d", next + 1))_incompatible.sql"),
                    atomically: true, encoding: .utf8)
            } _: { setup in
                _ = try await shipped().apply(in: session)
                #expect(try await LedgerVersion.check(in: session, of: role) == LedgerVersion.current)
                let older = await #expect(throws: LedgerMismatch.self) {
                    try await LedgerVersion.check(in: session, of: role, program: next)
                }
                #expect(older?.exitCode == .setupNeeded && older?.hint == "run 'bda-coordinator setup'")

                _ = try await setup.apply(in: session)
                await #expect(throws: LedgerMismatch.self) {
                    try await LedgerVersion.check(in: session, of: role, program: next)
                }
                try await session.execute("DELETE FROM bda.migration WHERE number = \(next + 1)", action: "go back")
                #expect(try await LedgerVersion.check(in: session, of: role, program: next - 1) == next)
                let newer = await #expect(throws: LedgerMismatch.self) {
                    try await LedgerVersion.check(in: session, of: role, program: next - 2)
                }
                #expect(newer?.exitCode == .setupNeeded && newer?.description.contains("too new") == true)
                await #expect(throws: LedgerMismatch.self) { try await shipped().pending(in: session) }
            }
        }
    }
}

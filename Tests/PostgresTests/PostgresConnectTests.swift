import CommandLineOptions
import Foundation
import Postgres
import Settings
import TestSupport
import Testing

/// What may keep a process from its database, and how the program then ends.
@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(2)))
struct PostgresConnectTests {
    private func refusal(of configuration: PostgresConfiguration) async -> (any ErrorWithExitCode)? {
        do {
            await (try PostgresSession.connect(configuration, purpose: "test")).close()
            return nil
        } catch {
            return error as? any ErrorWithExitCode
        }
    }

    @Test(.enabled(if: TestPooler.isAvailable, "needs pgbouncer"))
    func aPoolerInTransactionModeIsRefused() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let pooler = try await TestPooler(to: role)
            defer { pooler.stop() }
            let refusal = await refusal(of: pooler.configuration(behind: role))
            #expect(refusal?.exitCode == .usage)
            #expect(refusal?.hint?.contains("BDA_DB_HOST") == true)
            #expect(refusal.map { "\($0)" }?.contains("127.0.0.1:\(pooler.port)/") == true)
        }
    }

    @Test func aLoginThatTheServerRefusesIsAMatterOfSettings() async throws {
        try await TestPostgres.withDatabase { role, administrator in
            var wrong = role
            wrong.password = Secret("another")
            #expect(await refusal(of: wrong)?.exitCode == .usage)
            wrong = role
            wrong.database += "x"
            let database = await refusal(of: wrong)
            #expect(database?.exitCode == .usage && database?.hint == "check BDA_DB_NAME")
            wrong = administrator
            wrong.user = "bda_no_such_role"
            #expect(await refusal(of: wrong)?.exitCode == .usage)
            wrong = role
            (wrong.host, wrong.port) = ("127.0.0.1", 1)
            #expect(await refusal(of: wrong)?.exitCode == .databaseUnavailable)
        }
    }

    @Test(arguments: [
        ("SELECT 1 / 0", ExitCode.jobFailed), ("SELECT * FROM pg_catalog.pg_authid", .usage),
        ("SELECT * FROM no_such_table", .jobFailed),
        ("DO $$ BEGIN RAISE 'no' USING ERRCODE = '40001'; END $$", .databaseUnavailable),
        ("SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())", .databaseUnavailable),
    ])
    func anErrorOfAStatementEndsTheProgramByItsKind(statement: String, exitCode: ExitCode) async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            let error = await #expect(throws: PostgresError.self) {
                try await session.execute(statement, action: "try")
            }
            #expect(error?.exitCode == exitCode)
            await session.close()
        }
    }

    @Test func aRotatedPasswordIsReadAtTheNextConnection() async throws {
        try await TestPostgres.withDatabase { role, administrator in
            let name = "rotated_" + role.database
            let server = try await PostgresSession.connect(administrator, purpose: "test")
            try await server.execute(
                "CREATE ROLE \(SQL.identifier(name)) LOGIN PASSWORD 'first'", action: "make a role")
            let file = FileManager.default.temporaryDirectory.appending(path: name)
            try "first\n".write(to: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: file) }
            var rotated = role
            rotated.user = name
            rotated.password = Secret(file: file.path, setting: "BDA_DB_PASSWORD_FILE")
            let first = try await PostgresSession.connect(rotated, purpose: "test")

            try await server.execute("ALTER ROLE \(SQL.identifier(name)) PASSWORD 'second'", action: "rotate")
            // The session that is there goes on; a new one waits for the file.
            #expect(try await first.execute("SELECT 1", action: "go on").firstValue == "1")
            let early = await #expect(throws: PostgresError.self) {
                try await PostgresSession.connect(rotated, purpose: "test")
            }
            #expect(early?.isRetryable == true)
            try FileManager.default.removeItem(at: file)
            let missing = await #expect(throws: PostgresError.self) {
                try await PostgresSession.connect(rotated, purpose: "test")
            }
            #expect(missing?.isRetryable == true && missing?.message.contains("BDA_DB_PASSWORD_FILE") == true)
            try "second".write(to: file, atomically: true, encoding: .utf8)
            let second = try await PostgresSession.connect(rotated, purpose: "test")
            #expect(try await second.execute("SELECT 2", action: "go on").firstValue == "2")
            await first.close()
            await second.close()
            try await server.execute("DROP ROLE \(SQL.identifier(name))", action: "drop the role")
            await server.close()
        }
    }
}

import Foundation
package import Postgres
import Settings

/// The PostgreSQL server that `scripts/dev/test.sh` starts, with a database of its own for each test.
package enum TestPostgres {
    /// Whether there is one. Without it tests are skipped, unless the script says that it must be there.
    package static let isAvailable = administrator != nil || isRequired
    private static let environment = ProcessInfo.processInfo.environment
    private static let isRequired = environment["BDA_TEST_REQUIRE_POSTGRES"] == "1"

    /// `key=value` pairs of `BDA_TEST_POSTGRES`.
    private static let administrator: PostgresConfiguration? = {
        guard let text = environment["BDA_TEST_POSTGRES"] else { return nil }
        let pairs = Dictionary(
            text.split(separator: " ").map { pair in
                let halves = pair.split(separator: "=", maxSplits: 1)
                return (String(halves[0]), String(halves[1]))
            }, uniquingKeysWith: { first, _ in first })
        return PostgresConfiguration(
            host: pairs["host"] ?? "127.0.0.1", port: Int(pairs["port"] ?? "") ?? 5432, database: "postgres",
            user: pairs["user"] ?? "postgres", password: nil)
    }()

    /// A fresh database for the duration of `body`, which gets the way in as the superuser and as the documented role,
    /// `billing_aggregator`, with the rights that `deploy/postgres/role.sql` gives outside of the vaults. It is empty, or a
    /// copy of the database `template`, which nobody may be using meanwhile.
    @discardableResult
    package static func withDatabase<Value>(
        copyOf template: String? = nil,
        _ body: (_ role: PostgresConfiguration, _ administrator: PostgresConfiguration) async throws -> Value
    ) async throws -> Value {
        guard let administrator else { throw MissingServer() }
        let name = "test_" + UUID().uuidString.lowercased().filter { $0 != "-" }
        let server = try await PostgresSession.connect(administrator, purpose: "tests")
        try await server.execute(
            "CREATE DATABASE \(SQL.identifier(name))" + (template.map { " TEMPLATE \(SQL.identifier($0))" } ?? ""),
            within: .seconds(300), action: "make a test's database")
        try await server.execute(
            "GRANT CONNECT, CREATE ON DATABASE \(SQL.identifier(name)) TO billing_aggregator",
            action: "grant to the role")
        var inside = administrator
        inside.database = name
        var role = inside
        role.user = "billing_aggregator"
        role.password = environment["BDA_TEST_ROLE_PASSWORD"].map { Secret($0) }
        await server.close()
        let result: Result<Value, any Error>
        do { result = .success(try await body(role, inside)) } catch { result = .failure(error) }
        // A session of its own: a test may have restarted the server.
        let cleaner = try await PostgresSession.connect(administrator, purpose: "tests")
        try await cleaner.execute(
            "DROP DATABASE \(SQL.identifier(name)) WITH (FORCE)", within: .seconds(300),
            action: "drop a test's database")
        await cleaner.close()
        return try result.get()
    }

    private struct MissingServer: Error, CustomStringConvertible {
        let description = "BDA_TEST_POSTGRES is not set; scripts/dev/test.sh starts a server and sets it"
    }
}

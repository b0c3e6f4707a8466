import Foundation
import Postgres
import Testing
import TestSupport

/// A database with the sample warehouse and the documented role's rights, made once for a suite; its tests work on copies.
struct SampleWarehouse: SuiteTrait, TestScoping {
    /// The business date of the sample.
    static let date = "2026-01-15"
    /// The instant up to which its loads count.
    static let cutoff = "2026-01-16 05:00:00 Europe/Berlin"

    /// Waits while a test holds the advisory lock of the number. A script may not call a VOLATILE function; one that says to be
    /// IMMUTABLE is computed with the plan unless its argument depends on a row.
    private static let gate = """
        CREATE FUNCTION public.wait_at_gate(bigint) RETURNS void LANGUAGE internal IMMUTABLE STRICT
        AS 'pg_advisory_xact_lock_shared_int8'
        """

    /// The database to copy; nil outside of the suite.
    @TaskLocal static var database: String?

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await Self.with(scale: "0.2", days: 200, function)
    }

    /// Runs `body` with a sample warehouse of that scale and so many days of documents as the one that fleets copy.
    static func with(scale: String, days: Int, _ body: () async throws -> Void) async throws {
        try await TestPostgres.withDatabase { _, administrator in
            let folder = try TemporaryFolder()
            for (name, command) in [
                (
                    "sample",
                    ["\(Fleet.scripts)/sample/load.sh", "--scale", scale, "--date", Self.date, "--days", "\(days)"]
                ),
                ("role", ["psql", "--no-psqlrc", "--quiet", "--file=\(Fleet.repository)/deploy/postgres/role.sql"]),
            ] {
                let program = try Program(
                    "/usr/bin/env", command,
                    environment: Fleet.inherited.merging(administrator.libpqEnvironment) { _, new in new }, name: name,
                    in: folder)
                defer { program.kill() }
                try await program.succeeds(within: .seconds(120))
            }
            let session = try await PostgresSession.connect(administrator, purpose: "gate")
            try await session.execute(Self.gate, action: "make the gate")
            await session.close()
            try await Self.$database.withValue(administrator.database, operation: body)
            folder.remove()
        }
    }
}

extension PostgresConfiguration {
    /// What leads psql to the database: it finds it in libpq's own variables.
    var libpqEnvironment: [String: String] {
        ["PGHOST": host, "PGPORT": "\(port)", "PGUSER": user, "PGDATABASE": database]
    }
}

extension Trait where Self == SampleWarehouse {
    /// The suite's tests find the sample warehouse.
    static var sampleWarehouse: Self { Self() }
}

/// A folder that is removed when the test succeeded; what programs wrote stays for reading when it did not.
struct TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("bda-fleet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// Writes a file, with the folders on the way to it.
    func write(_ text: String, to name: String) throws {
        let file = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

package import CommandLineOptions
package import Postgres

/// This program cannot use the ledger.
package struct LedgerMismatch: ErrorWithExitCode, Sendable, Hashable {
    package let description: String
    package let hint: String?
    package var exitCode: ExitCode { .setupNeeded }
}

/// The ledger versions that this program can use. The version of a ledger is the number of its newest migration.
package enum LedgerVersion {
    /// The newest migration that this program includes. Workers have no scripts folder, so the number is compiled in; a
    /// test compares it with `scripts/migrations`.
    package static let current = 8

    /// Throws `LedgerMismatch` unless this program can use the ledger, and returns the ledger's version.
    ///
    /// A ledger older than the program is refused. A newer one is accepted if each of its newer migrations names this
    /// program's version or an older one in its `@oldest-program` line, so that a fleet can be upgraded worker by worker.
    @discardableResult
    package static func check(
        in session: PostgresSession, of database: PostgresConfiguration, program: Int = current
    ) async throws -> Int {
        let exists = try await session.execute(
            "SELECT pg_catalog.to_regclass('bda.migration') IS NOT NULL", action: "look for the ledger")
        guard exists.firstValue == "t" else { throw missing(in: database) }
        // The column may be missing in a ledger of an older version.
        let version = try await session.query(
            """
            SELECT COALESCE(max(number), 0) AS number,
                   COALESCE(max((pg_catalog.to_jsonb(m) ->> 'oldest_program')::integer) FILTER (WHERE number > $1::integer), 0)
                       AS oldest_program
            FROM bda.migration AS m
            """, ["\(program)"], action: "read the ledger's version"
        ).records[0]
        let number = try version.integer("number")
        if number == 0 { throw missing(in: database) }
        guard number >= program else {
            throw LedgerMismatch(
                description:
                    "the ledger in \(database.address) is at migration \(number), older than this program, which needs migration \(program)",
                hint: "run 'bda-coordinator setup'")
        }
        guard try version.integer("oldest_program") <= program else {
            throw LedgerMismatch(
                description:
                    "the ledger in \(database.address) is at migration \(number), too new for this program, which supports migrations up to \(program)",
                hint: "use the program's version that upgraded the ledger, or a newer one")
        }
        return number
    }

    private static func missing(in database: PostgresConfiguration) -> LedgerMismatch {
        LedgerMismatch(
            description: "the database \(database.address) has no ledger (schema bda)",
            hint: "run 'bda-coordinator setup'")
    }
}

package import Scripts
import Bytes
package import Postgres

/// The numbered migrations that make and upgrade the ledger: `migrations/NNNN_name.sql` in a scripts folder. Each runs
/// once, in a transaction of its own, in order of number; what was applied is never edited again.
package struct Migrations: Sendable {
    /// One file.
    package struct Migration: Sendable, Hashable {
        /// Counted from 1.
        package let number: Int
        /// Its name.
        package let name: String
        /// The text.
        package let text: String

        var digest: String { SHA256.hash(text).hex }
    }

    /// The ledger is not as this program needs it.
    package struct LedgerMismatch: Error, CustomStringConvertible, Sendable {
        /// What people read.
        package let description: String
        /// What to do.
        package let hint: String
    }

    /// In order of number, without gaps.
    package let all: [Migration]

    /// Reads the migrations of the first of the folders that has any.
    package init(folders: [String]) throws(ScriptSet.Problems) {
        var problems: [String] = []
        for folder in folders {
            let files = ScriptSet.sqlFiles(in: folder, "migrations", unreadable: &problems)
            if files.isEmpty { continue }
            var migrations: [Migration] = []
            for file in files {
                let name = file.name.split(separator: "/").last!.dropLast(4)
                guard let number = Int(name.prefix(4)), name.dropFirst(4).first == "_", number == migrations.count + 1
                else {
                    problems.append("\(file.name): a migration is named NNNN_what.sql, numbered from 0001 without gaps")
                    continue
                }
                migrations.append(Migration(number: number, name: String(name.dropFirst(5)), text: file.text))
            }
            guard problems.isEmpty else { throw ScriptSet.Problems(sentences: problems) }
            all = migrations
            return
        }
        throw ScriptSet.Problems(
            sentences: problems + [
                "BDA_SCRIPTS_DIR: no migrations/ folder in \(folders.joined(separator: ", ")); it is part of the shipped scripts folder"
            ])
    }

    /// What is still to be applied.
    package func pending(in session: PostgresSession) async throws -> [Migration] {
        let applied = try await applied(in: session)
        for (number, digest) in applied {
            guard let known = all.first(where: { $0.number == number }) else {
                throw LedgerMismatch(
                    description: "the ledger is at migration \(number), newer than this program's \(all.count)",
                    hint: "use the program's version that upgraded the ledger, or a newer one")
            }
            guard known.digest == digest else {
                throw LedgerMismatch(
                    description: "migration \(number) (\(known.name)) was changed after it had been applied",
                    hint: "restore the file; a change to the ledger is a new migration")
            }
        }
        return all.filter { applied[$0.number] == nil }
    }

    /// Applies what is pending and returns it. Two set-ups at once take turns.
    package func apply(in session: PostgresSession) async throws -> [Migration] {
        try await session.execute(
            """
            CREATE SCHEMA IF NOT EXISTS bda;
            CREATE TABLE IF NOT EXISTS bda.migration (
                number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
            SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('bda migrations', 0))
            """, action: "prepare the ledger's schema")
        let pending = try await pending(in: session)
        for migration in pending {
            let record =
                "INSERT INTO bda.migration (number, name, digest) VALUES (\(migration.number), \(SQL.literal(migration.name)), \(SQL.literal(migration.digest)))"
            try await session.execute(
                "BEGIN;\n\(migration.text)\n;\(record);COMMIT",
                action: "apply migration \(migration.number) (\(migration.name))")
        }
        try await session.execute(
            "SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended('bda migrations', 0))",
            action: "end the set-up")
        return pending
    }

    private func applied(in session: PostgresSession) async throws -> [Int: String] {
        let exists = try await session.execute(
            "SELECT pg_catalog.to_regclass('bda.migration') IS NOT NULL", action: "look for the ledger")
        guard exists.firstValue == "t" else { return [:] }
        let records = try await session.execute(
            "SELECT number, digest FROM bda.migration", action: "read the ledger's version"
        ).records
        return Dictionary(uniqueKeysWithValues: try records.map { (try $0.integer("number"), try $0.text("digest")) })
    }
}

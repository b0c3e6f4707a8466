import Bytes
package import Postgres
package import Scripts

/// The definition of the ledger, read from a scripts folder, and its application to a database.
///
/// - `migrations/NNNN_name.sql` make tables, indexes and views. Each runs once, in a transaction of its own, in order of
///   number; a migration that was applied is never edited again.
/// - `ledger/name.sql` each hold one function in its current form. A file is applied again if its digest differs from the
///   one that the ledger recorded.
package struct LedgerSetup: Sendable {
    package struct Migration: Sendable, Hashable {
        /// Counted from 1.
        package let number: Int
        package let name: String
        package let text: String

        var digest: String { SHA256.hash(text).hex }

        /// Digests of other accepted texts of this migration, from `-- @former` lines.
        var formerDigests: [Substring] { values(of: "former") }

        /// The oldest program, by the newest migration that it knows, that works with the ledger after this migration: from
        /// an `-- @oldest-program` line. Without one, older programs do not work with it.
        var oldestProgram: Int { values(of: "oldest-program").first.flatMap { Int($0) } ?? number }

        private func values(of tag: String) -> [Substring] {
            text.split(separator: "\n").prefix { $0.hasPrefix("--") }.compactMap { line in
                let words = line.split(separator: " ")
                return words.count == 3 && words[1] == "@\(tag)" ? words[2] : nil
            }
        }
    }

    /// A function of schema `bda`.
    package struct Function: Sendable, Hashable {
        package let name: String
        package let text: String

        var digest: String { SHA256.hash(text).hex }
    }

    /// The migrations and functions that a ledger lacks.
    package struct Changes: Sendable, Hashable {
        package var migrations: [Migration]
        package var functions: [Function]

        package var isEmpty: Bool { migrations.isEmpty && functions.isEmpty }
    }

    /// In order of number, without gaps.
    package let migrations: [Migration]
    /// In order of name.
    package let functions: [Function]

    /// Reads migrations and functions of the first of the folders that has migrations.
    package init(folders: [String]) throws(ScriptSet.Problems) {
        var problems: [String] = []
        for folder in folders {
            let files = ScriptSet.sqlFiles(in: folder, "migrations", unreadable: &problems)
            if files.isEmpty { continue }
            var migrations: [Migration] = []
            for file in files {
                let name = Self.baseName(file.name)
                guard let number = Int(name.prefix(4)), name.dropFirst(4).first == "_", number == migrations.count + 1
                else {
                    problems.append("\(file.name): a migration is named NNNN_what.sql, numbered from 0001 without gaps")
                    continue
                }
                migrations.append(Migration(number: number, name: String(name.dropFirst(5)), text: file.text))
            }
            var functions: [Function] = []
            for file in ScriptSet.sqlFiles(in: folder, "ledger", unreadable: &problems) {
                let name = Self.baseName(file.name)
                if !file.text.contains("CREATE OR REPLACE FUNCTION bda.\(name)(") {
                    problems.append("\(file.name): the file does not hold CREATE OR REPLACE FUNCTION bda.\(name)(")
                }
                functions.append(Function(name: name, text: file.text))
            }
            if functions.isEmpty {
                problems.append("\(folder) has a migrations/ folder and no ledger/ folder with the ledger's functions")
            }
            guard problems.isEmpty else { throw ScriptSet.Problems(sentences: problems) }
            (self.migrations, self.functions) = (migrations, functions)
            return
        }
        throw ScriptSet.Problems(
            sentences: problems + [
                "BDA_SCRIPTS_DIR: no migrations/ folder in \(folders.joined(separator: ", ")); it is part of the shipped scripts folder"
            ])
    }

    private static func baseName(_ file: String) -> String { String(file.split(separator: "/").last!.dropLast(4)) }

    /// The migrations and functions that are still to be applied.
    package func pending(in session: PostgresSession) async throws -> Changes {
        let applied = try await recorded("bda.migration", key: "number", in: session)
        for (number, digest) in applied {
            guard let known = migrations.first(where: { "\($0.number)" == number }) else {
                throw LedgerMismatch(
                    description:
                        "the ledger is at migration \(number), newer than the scripts folder's \(migrations.count)",
                    hint: "run 'setup' of the program's version that upgraded the ledger, or of a newer one")
            }
            guard known.digest == digest || known.formerDigests.contains(where: { $0 == digest }) else {
                throw LedgerMismatch(
                    description: "migration \(number) (\(known.name)) was changed after it had been applied",
                    hint: "restore the file; a change to the ledger's tables is a new migration")
            }
        }
        let present = try await recorded("bda.function", key: "name", in: session)
        return Changes(
            migrations: migrations.filter { applied["\($0.number)"] == nil },
            functions: functions.filter { present[$0.name] != $0.digest })
    }

    /// Throws `LedgerMismatch` unless this program can use the ledger with these functions.
    package func check(in session: PostgresSession, of database: PostgresConfiguration) async throws {
        // A newer ledger that this program can use has functions of its own.
        guard try await LedgerVersion.check(in: session, of: database) == LedgerVersion.current else { return }
        guard try await !pending(in: session).isEmpty else { return }
        throw LedgerMismatch(
            description: "the functions of the ledger in \(database.address) are not those of the scripts folder",
            hint: "run 'bda-coordinator setup'")
    }

    /// Applies the pending migrations and functions and returns them.
    package func apply(in session: PostgresSession) async throws -> Changes {
        try await Self.takingTurns(in: session) {
            try await session.execute(
                """
                CREATE SCHEMA IF NOT EXISTS bda;
                CREATE TABLE IF NOT EXISTS bda.migration (
                    number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
                ALTER TABLE bda.migration ADD COLUMN IF NOT EXISTS oldest_program integer;
                COMMENT ON COLUMN bda.migration.oldest_program IS
                    'Programs whose newest known migration is this one or a newer one work with the ledger after the migration.';
                CREATE TABLE IF NOT EXISTS bda.function (
                    name text PRIMARY KEY, digest text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
                COMMENT ON TABLE bda.function IS 'The files of scripts/ledger that were applied, with their SHA-256.';
                """, action: "prepare the ledger's schema")
            let pending = try await pending(in: session)
            for migration in pending.migrations {
                let record =
                    "INSERT INTO bda.migration (number, name, digest, oldest_program) VALUES (\(migration.number), \(SQL.literal(migration.name)), \(SQL.literal(migration.digest)), \(migration.oldestProgram))"
                try await session.execute(
                    "BEGIN;\n\(migration.text)\n;\(record);COMMIT", within: .seconds(600),
                    action: "apply migration \(migration.number) (\(migration.name))")
            }
            if !pending.functions.isEmpty {
                // Functions may call each other: none is checked before all exist, and a claim uses all of them or
                // none.
                try await session.execute(
                    "BEGIN; SET LOCAL check_function_bodies = off", action: "begin to apply the ledger's functions")
                for function in pending.functions {
                    try await session.execute(
                        """
                        \(function.text)
                        ;INSERT INTO bda.function (name, digest) VALUES (\(SQL.literal(function.name)), \(SQL.literal(function.digest)))
                        ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, applied_at = excluded.applied_at
                        """, action: "apply the ledger's function \(function.name)")
                }
                try await session.execute("COMMIT", action: "commit the ledger's functions")
            }
            return pending
        }
    }

    /// Runs `body` while no other set-up of the database runs. No statement of it waits for a lock for longer than a
    /// minute.
    package static func takingTurns<Value: Sendable>(
        in session: PostgresSession, _ body: () async throws -> Value
    ) async throws -> Value {
        let key = "pg_catalog.hashtextextended('bda migrations', 0)"
        try await session.execute("SET lock_timeout = '60s'", action: "limit the set-up's waits")
        do {
            try await session.execute(
                "SELECT pg_catalog.pg_advisory_lock(\(key))", within: .seconds(70),
                action: "wait for another set-up of this database")
            let value = try await body()
            try await session.execute(
                "SELECT pg_catalog.pg_advisory_unlock(\(key)); RESET lock_timeout", action: "end the set-up")
            return value
        } catch {
            // An open transaction and the lock end with the session.
            await session.close()
            throw error
        }
    }

    private func recorded(
        _ table: String, key: String, in session: PostgresSession
    ) async throws -> [String: String] {
        let exists = try await session.execute(
            "SELECT pg_catalog.to_regclass(\(SQL.literal(table))) IS NOT NULL", action: "look for the ledger")
        guard exists.firstValue == "t" else { return [:] }
        let records = try await session.execute(
            "SELECT \(key)::text AS key, digest FROM \(table)", action: "read what was applied to the ledger"
        ).records
        return Dictionary(uniqueKeysWithValues: try records.map { (try $0.text("key"), try $0.text("digest")) })
    }
}

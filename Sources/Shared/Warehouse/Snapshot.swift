package import Scripts
import JobModel
package import Postgres

/// The one point in time that a run reads: an exported snapshot, held by this session's open transaction, with ACCESS SHARE
/// locks on the tables that the scripts read. The locks come first: DDL pierces snapshots, and TRUNCATE or VACUUM FULL after
/// the export would be seen.
package struct Snapshot: Sendable {
    /// What `SET TRANSACTION SNAPSHOT` takes.
    package let id: String
    /// The session that holds it; no statement but a check in the snapshot runs on it.
    package let session: PostgresSession

    /// Begins on `session`, locks the tables and exports.
    ///
    /// - Parameter tables: qualified names from `tablesRead(by:in:)`.
    package static func export(on session: PostgresSession, locking tables: [String]) async throws -> Snapshot {
        let statements = holding + lock(tables, within: lockWait) + ["SELECT pg_catalog.pg_export_snapshot()"]
        let id = try await session.execute(
            statements.joined(separator: "; "), within: lockWait + PostgresSession.statementLimit,
            action: "export the run's snapshot")
        return Snapshot(id: id.firstValue ?? "", session: session)
    }

    /// Takes part in a snapshot that another session still holds: imports it and exports it again, so that it lives when
    /// the first holder is gone. After `SnapshotLost` the session can be used for another try.
    ///
    /// - Parameter tables: as for `export`.
    package static func adopt(
        _ id: String, on session: PostgresSession, locking tables: [String]
    ) async throws -> Snapshot {
        let statements =
            holding + `import`(id, locking: tables, within: lockWait) + ["SELECT pg_catalog.pg_export_snapshot()"]
        let exported = try await importing(in: session) {
            try await session.execute(
                statements.joined(separator: "; "), within: lockWait + PostgresSession.statementLimit,
                action: "take over the run's snapshot")
        }
        return Snapshot(id: exported.firstValue ?? "", session: session)
    }

    private static let holding = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]

    /// How long the locks on the vault tables are waited for. Whoever waits for an ACCESS EXCLUSIVE lock, which the holders
    /// of the snapshot keep away, makes all others wait behind it, for as long as it likes; an error names what is the matter.
    static let lockWait = Duration.seconds(60)

    private static func lock(_ tables: [String], within wait: Duration) -> [String] {
        if tables.isEmpty { return [] }
        let names = tables.map { $0.split(separator: ".").map { SQL.identifier(String($0)) }.joined(separator: ".") }
        return [
            "SET LOCAL lock_timeout = \(Int(wait / .milliseconds(1)))",
            "LOCK TABLE \(names.joined(separator: ", ")) IN ACCESS SHARE MODE", "SET LOCAL lock_timeout = 0",
        ]
    }

    /// The statements that import a snapshot, before any query of their transaction. The locks come first here too: if the
    /// import then goes well, another holder's locks were there until ours were.
    static func `import`(_ id: String, locking tables: [String], within wait: Duration) -> [String] {
        lock(tables, within: wait) + ["SET TRANSACTION SNAPSHOT \(SQL.literal(id))"]
    }

    /// Runs statements with an import in them. When nobody holds the snapshot any more, the transaction is rolled back and
    /// `SnapshotLost` thrown.
    static func importing(
        in session: PostgresSession, _ statements: () async throws -> PostgresResult
    ) async throws -> PostgresResult {
        do {
            return try await statements()
        } catch let error as PostgresError where isLost(error) {
            try await session.execute("ROLLBACK", action: "roll back after a snapshot was lost")
            throw WorkTransaction.SnapshotLost(description: "\(error)")
        }
    }

    /// Whether an import failed because nobody holds the snapshot any more: invalid_parameter_value before PostgreSQL 17,
    /// undefined_object since, object_not_in_prerequisite_state when its transaction ended just now.
    static func isLost(_ error: PostgresError) -> Bool {
        ["22023", "42704", "55000"].contains(error.sqlState)
    }

    /// Lets it go.
    package func release() async { await session.close() }

    /// The tables outside of `bda`, `report_oibl` and the catalogues that the scripts name as `schema.table`.
    package static func tablesRead(by scripts: [SegmentScript], in session: PostgresSession) async throws -> [String] {
        let names = Set(scripts.filter { $0.segment.reads == .vault }.flatMap(\.text.qualifiedNames))
            .filter {
                !["bda", "report_oibl", "pg_catalog", "information_schema"].contains($0.split(separator: ".")[0])
            }
        return try await session.query(
            """
            SELECT n.nspname || '.' || c.relname
            FROM unnest($1::text[]) AS name
            JOIN pg_catalog.pg_namespace AS n ON n.nspname = split_part(name, '.', 1)
            JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = split_part(name, '.', 2)
            WHERE c.relkind IN ('r', 'p', 'v') ORDER BY 1
            """, [SQL.array(names.sorted())], action: "look up the tables that the scripts read"
        ).rows.compactMap { $0[0] }
    }

    /// About how many rows the tables have together, by the server's statistics; a table without any, by its size.
    package static func estimatedRows(of tables: [String], in session: PostgresSession) async throws -> Double {
        try await session.query(
            """
            SELECT COALESCE(sum(CASE WHEN c.reltuples > 0 THEN c.reltuples
                                     ELSE pg_catalog.pg_relation_size(c.oid) / 100 END), 0)
            FROM pg_catalog.pg_class AS c
            WHERE c.relkind = 'r' AND c.oid IN (
                SELECT name::pg_catalog.regclass::oid FROM unnest($1::text[]) AS name
                UNION ALL
                SELECT t.relid::oid FROM unnest($1::text[]) AS name,
                    pg_catalog.pg_partition_tree(name::pg_catalog.regclass) AS t)
            """, [SQL.array(tables)], action: "estimate the size of the tables"
        ).firstValue.flatMap { Double($0) } ?? 0
    }

    /// The page ranges of a table, `count` of them and of equal size; the last one is open at its end.
    package static func pageRanges(
        of table: String, count: Int, in session: PostgresSession
    ) async throws -> [(from: Int, to: Int?)] {
        let pages =
            try await session.query(
                """
                SELECT pg_catalog.pg_relation_size($1::pg_catalog.regclass) / pg_catalog.current_setting('block_size')::bigint
                """, [table], action: "measure the table \(table)"
            ).firstValue.flatMap { Int($0) } ?? 0
        return (0..<count).map { (pages * $0 / count, $0 + 1 == count ? nil : pages * ($0 + 1) / count) }
    }
}

import JobModel
package import Postgres

/// The point in time that a run reads: an exported snapshot, held by this session's open transaction, with ACCESS SHARE
/// locks on the tables that the scripts read. The locks are taken before the export: the effect of DDL, such as TRUNCATE or
/// a rewrite, is visible in older snapshots too.
package struct Snapshot: Sendable {
    /// The argument of `SET TRANSACTION SNAPSHOT`.
    package let id: String
    /// The session that holds it. It runs nothing but checks in the snapshot.
    package let session: PostgresSession

    /// Begins on `session`, locks the tables and exports.
    ///
    /// - Parameter tables: names as LOCK TABLE takes them, from `Relations`.
    package static func export(on session: PostgresSession, locking tables: [String]) async throws -> Snapshot {
        let statements = holding + lock(tables, within: lockWait) + ["SELECT pg_catalog.pg_export_snapshot()"]
        let id = try await session.execute(
            statements.joined(separator: "; "), within: lockWait + PostgresSession.statementLimit,
            action: "export the run's snapshot")
        return Snapshot(id: id.firstValue ?? "", session: session)
    }

    /// Imports a snapshot that another session still holds and exports it again, so that it outlives the first holder.
    /// After `SnapshotLost` the session can be used for another attempt.
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

    /// Time limit for the locks on the vault tables. A session that waits for an ACCESS EXCLUSIVE lock, which the
    /// holders of the snapshot block, makes all later requests wait behind it.
    static let lockWait = Duration.seconds(60)

    private static func lock(_ tables: [String], within wait: Duration) -> [String] {
        if tables.isEmpty { return [] }
        return [
            "SET LOCAL lock_timeout = \(Int(wait / .milliseconds(1)))",
            "LOCK TABLE \(tables.joined(separator: ", ")) IN ACCESS SHARE MODE", "SET LOCAL lock_timeout = 0",
        ]
    }

    /// The statements that import a snapshot, before any query of their transaction. The locks are taken first: if the import
    /// then succeeds, another holder's locks were in place until these were.
    static func `import`(_ id: String, locking tables: [String], within wait: Duration) -> [String] {
        lock(tables, within: wait) + ["SET TRANSACTION SNAPSHOT \(SQL.literal(id))"]
    }

    /// Runs statements that import a snapshot. If no session holds it any more, the transaction is rolled back and
    /// `SnapshotLost` is thrown.
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

    /// Whether an import failed because no session holds the snapshot any more: invalid_parameter_value before PostgreSQL 17,
    /// undefined_object since then, object_not_in_prerequisite_state if its transaction ended at this moment.
    static func isLost(_ error: PostgresError) -> Bool {
        ["22023", "42704", "55000"].contains(error.sqlState)
    }

    package func release() async { await session.close() }
}

package import JobModel
package import Postgres

/// The sessions that hold the snapshot of a run.
package struct SnapshotStore: Sendable {
    let connection: LedgerConnection

    /// Whether the run is open and a job of it that reads the vaults has no result yet, or an archive that reads them
    /// is not verified yet.
    package func needsSnapshot(_ runID: RunID) async throws -> Bool {
        try await connection.query(
            "SELECT bda.needs_snapshot($1)", [runID.description], action: "read whether the snapshot is needed"
        ).firstValue == "t"
    }

    /// The run that needs another keeper of its snapshot: of the runs that need their snapshot, the one with the fewest
    /// keepers.
    package func runToKeep(clientID: String, environment: String) async throws -> RunID? {
        try await connection.query(
            """
            SELECT r.run_id FROM bda.run AS r
            WHERE r.client_id = $1 AND r.environment = $2 AND r.state = 'running' AND r.graph_at IS NOT NULL
              AND bda.needs_snapshot(r.run_id)
            ORDER BY (SELECT count(*) FROM bda.snapshot_keeper AS k WHERE k.run_id = r.run_id), r.run_id LIMIT 1
            """, [clientID, environment], action: "read the snapshots that need a keeper"
        ).firstValue.map { try RunID($0) }
    }

    /// The vault tables that jobs of the run read, as `schema.table`.
    package func vaultTables(of runID: RunID) async throws -> [String] {
        try await connection.query(
            """
            SELECT DISTINCT name FROM bda.run_script AS s, unnest(s.tables) AS name
            WHERE s.run_id = $1 AND s.kind IN ('init', 'archive') ORDER BY 1
            """, [runID.description], action: "read the run's vault tables"
        ).rows.compactMap { $0[0] }
    }

    /// The ids under which the run's snapshot may exist: the run's own, then its keepers', the newest first.
    package func snapshotIDs(of runID: RunID) async throws -> [String] {
        try await connection.query(
            """
            SELECT c.snapshot_id
            FROM (SELECT r.snapshot_id, 1 AS place, NULL::timestamptz AS since FROM bda.run AS r WHERE r.run_id = $1
                  UNION ALL SELECT k.snapshot_id, 2, k.since FROM bda.snapshot_keeper AS k WHERE k.run_id = $1) AS c
            WHERE c.snapshot_id IS NOT NULL ORDER BY c.place, c.since DESC
            """, [runID.description], action: "read the ids of the snapshot"
        ).rows.compactMap { $0[0] }
    }

    /// Notes that a worker's session holds the run's snapshot.
    package func noteKeeper(
        _ snapshotID: String, heldBy backend: PostgresSession.Backend, of runID: RunID, workerID: String
    ) async throws {
        try await connection.query(
            """
            INSERT INTO bda.snapshot_keeper (run_id, worker_id, snapshot_id, backend_pid, backend_start)
            VALUES ($1, $2, $3, $4::int, $5::timestamptz)
            ON CONFLICT (run_id, worker_id) DO UPDATE
            SET snapshot_id = excluded.snapshot_id, backend_pid = excluded.backend_pid,
                backend_start = excluded.backend_start, since = excluded.since
            """, [runID.description, workerID, snapshotID, "\(backend.pid)", backend.start],
            action: "note the snapshot's keeper")
    }

    /// Removes the note about one worker, or about all keepers of the run's snapshot.
    package func removeKeepers(of runID: RunID, workerID: String? = nil) async throws {
        try await connection.query(
            "DELETE FROM bda.snapshot_keeper WHERE run_id = $1 AND ($2::text IS NULL OR worker_id = $2)",
            [runID.description, workerID], action: "remove the note of the snapshot's keeper")
    }
}

package import JobModel
import Postgres

/// The results of jobs: rows, parts, control totals, and the events that are owed.
package struct ResultStore: Sendable {
    let connection: LedgerConnection

    /// All parts of a run in order of job and number.
    package func parts(of runID: RunID) async throws -> [RunPart] {
        try await connection.query(
            """
            SELECT p.job_id, p.part_no, p.key, p.rows, p.bytes, p.sha256
            FROM bda.job AS j JOIN bda.part AS p ON p.job_id = j.job_id
            WHERE j.run_id = $1 ORDER BY j.segment, j.partition_no, p.part_no
            """, [runID.description], action: "read the run's parts"
        ).records.map {
            RunPart(
                jobID: try JobID($0.text("job_id")),
                part: PartRecord(
                    partNo: try $0.integer("part_no"), key: try $0.text("key"), rows: try $0.integer("rows"),
                    bytes: try $0.integer("bytes"), sha256: try $0.text("sha256")))
        }
    }

    /// The control totals of a run's jobs, as the workers summed them.
    package func totals(of runID: RunID) async throws -> [(jobID: JobID, total: ControlTotal)] {
        try await connection.query(
            """
            SELECT t.job_id, t.name, t.currency, t.amount
            FROM bda.job AS j JOIN bda.total AS t ON t.job_id = j.job_id
            WHERE j.run_id = $1 ORDER BY t.job_id, t.name, t.currency
            """, [runID.description], action: "read the run's totals"
        ).records.map {
            (
                try JobID($0.text("job_id")),
                ControlTotal(
                    name: try $0.text("name"), currency: try $0.text("currency"),
                    amount: try ExactDecimal($0.text("amount")))
            )
        }
    }

    /// Completions of a client that are some seconds old and whose event is not noted as sent: their worker may have
    /// ended.
    package func owedEvents(
        clientID: String, environment: String, olderThanSeconds: Int, limit: Int
    ) async throws -> [OwedEvent] {
        try await connection.query(
            """
            SELECT r.run_id, r.business_date::text, d.job_id, d.attempt, d.worker_id, d.rows, d.bytes, d.duration_ms,
                   (SELECT count(*) FROM bda.part AS p WHERE p.job_id = d.job_id) AS parts,
                   (SELECT COALESCE(jsonb_agg(jsonb_build_object('name', t.name, 'currency', t.currency, 'amount', t.amount::text)
                                              ORDER BY t.name, t.currency), '[]')
                    FROM bda.total AS t WHERE t.job_id = d.job_id)::text AS totals
            FROM bda.result AS d
            JOIN bda.job AS j ON j.job_id = d.job_id
            JOIN bda.run AS r ON r.run_id = j.run_id
            WHERE r.client_id = $1 AND r.environment = $2 AND d.event_sent_at IS NULL
              AND d.finished_at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $3::int)
            ORDER BY d.finished_at LIMIT $4::int
            """, [clientID, environment, "\(olderThanSeconds)", "\(limit)"], action: "read the owed events"
        ).records.map {
            OwedEvent(
                run: RunContext(
                    runID: try RunID($0.text("run_id")), businessDate: try BusinessDate($0.text("business_date")),
                    clientID: clientID, environment: environment),
                body: JobCompleted(
                    jobID: try JobID($0.text("job_id")), attempt: try $0.integer("attempt"),
                    workerID: try $0.text("worker_id"), rows: try $0.integer("rows"), bytes: try $0.integer("bytes"),
                    partCount: try $0.integer("parts"),
                    totals: try WireFormat.decode([ControlTotal].self, from: $0.text("totals").utf8),
                    durationMs: try $0.integer("duration_ms")))
        }
    }

    /// Notes that the completion events of jobs were delivered. A row that another session has locked is left out, so
    /// that the call never waits: its event is then sent again.
    package func markEventsSent(_ jobIDs: [JobID]) async throws {
        try await connection.query(
            """
            UPDATE bda.result SET event_sent_at = pg_catalog.clock_timestamp()
            WHERE job_id IN (
                SELECT job_id FROM bda.result WHERE job_id = ANY ($1::text[]) AND event_sent_at IS NULL
                FOR NO KEY UPDATE SKIP LOCKED)
            """, [SQL.array(jobIDs.map(\.description))], action: "note sent events")
    }

    /// Whether a job has a result.
    package func hasResult(_ jobID: JobID) async throws -> Bool {
        try await connection.query(
            "SELECT EXISTS (SELECT FROM bda.result WHERE job_id = $1)", [jobID.description],
            action: "read whether the job has a result"
        ).firstValue == "t"
    }
}

/// A completion whose event is not noted as sent.
package struct OwedEvent: Sendable {
    package var run: RunContext
    package var body: JobCompleted
}

/// One part of a run's result.
package struct RunPart: Sendable, Hashable {
    package var jobID: JobID
    package var part: PartRecord
}

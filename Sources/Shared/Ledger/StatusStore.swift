package import JobModel
import Postgres

/// The reads for `status`: nothing here changes the ledger.
package struct StatusStore: Sendable {
    let connection: LedgerConnection

    /// The number of jobs in each state, without advancing the graph.
    package func jobCounts(of runID: RunID) async throws -> JobCounts {
        var counts = JobCounts()
        for record in try await connection.query(
            """
            SELECT CASE WHEN d.job_id IS NOT NULL THEN 'done' ELSE j.state END AS state, count(*) AS jobs
            FROM bda.job AS j LEFT JOIN bda.result AS d ON d.job_id = j.job_id WHERE j.run_id = $1 GROUP BY 1
            """, [runID.description], action: "count the run's jobs"
        ).records { counts.set(try JobState(record), try record.integer("jobs")) }
        return counts
    }

    /// The jobs that run, wait for a retry or have failed: failed ones first, then the longest running.
    package func notableJobs(of runID: RunID, limit: Int) async throws -> [JobStatus] {
        try await connection.query(
            """
            SELECT j.job_id, j.state, j.attempt, a.worker_id, j.rows_so_far, a.code, a.message, a.hint,
                   extract(epoch FROM COALESCE(a.ended_at, pg_catalog.clock_timestamp()) - a.started_at) AS seconds,
                   extract(epoch FROM j.lease_until - pg_catalog.clock_timestamp()) AS lease_seconds
            FROM bda.job AS j JOIN bda.attempt AS a ON a.job_id = j.job_id AND a.attempt = j.attempt
            WHERE j.run_id = $1 AND j.state IN ('running', 'failed', 'ready')
              AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
            ORDER BY j.state = 'failed' DESC, j.state = 'running' DESC, a.started_at, j.job_id LIMIT $2::int
            """, [runID.description, "\(limit)"], action: "read the run's jobs"
        ).records.map {
            JobStatus(
                jobID: try JobID($0.text("job_id")), state: try JobState($0), attempt: try $0.integer("attempt"),
                workerID: $0.optional("worker_id"), seconds: Double($0.optional("seconds") ?? "") ?? 0,
                rowsSoFar: $0.optional("rows_so_far").flatMap { Int($0) }, code: $0.optional("code"),
                message: $0.optional("message"), hint: $0.optional("hint"),
                leaseSeconds: $0.optional("lease_seconds").flatMap { Double($0) })
        }
    }

    /// The results of each archive segment of a run so far, in order of name.
    package func datasetFigures(of runID: RunID) async throws -> [DatasetFigures] {
        try await connection.query(
            """
            SELECT j.segment, count(d.job_id) AS done, COALESCE(sum(d.rows), 0) AS rows, COALESCE(sum(d.bytes), 0) AS bytes,
                   COALESCE(sum((SELECT count(*) FROM bda.part AS p WHERE p.job_id = j.job_id)), 0) AS parts
            FROM bda.job AS j
            JOIN bda.run_script AS s ON s.run_id = j.run_id AND s.segment = j.segment AND s.kind = 'archive'
            LEFT JOIN bda.result AS d ON d.job_id = j.job_id
            WHERE j.run_id = $1 GROUP BY j.segment ORDER BY j.segment
            """, [runID.description], action: "read the run's figures"
        ).records.map {
            DatasetFigures(
                dataset: try SegmentName($0.text("segment")), jobsDone: try $0.integer("done"),
                parts: try $0.integer("parts"), rows: try $0.integer("rows"), bytes: try $0.integer("bytes"))
        }
    }
}

/// A job that is running, waits for its next attempt, or has failed.
package struct JobStatus: Sendable, Hashable {
    package var jobID: JobID
    package var state: JobState
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID` of the worker.
    package var workerID: String?
    /// Since the start of the attempt.
    package var seconds: Double
    /// Rows read so far.
    package var rowsSoFar: Int?
    /// SQLSTATE, S3 code or a code of this program.
    package var code: String?
    package var message: String?
    package var hint: String?
    /// Seconds until the lease runs out; negative after its end.
    package var leaseSeconds: Double?
}

/// The figures of one dataset of a run.
package struct DatasetFigures: Sendable, Hashable {
    package var dataset: SegmentName
    package var jobsDone: Int
    package var parts: Int
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
}

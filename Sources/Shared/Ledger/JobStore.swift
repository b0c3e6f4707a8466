package import JobModel
package import Postgres

/// The jobs of the ledger: the graph, claims, leases and the ends of attempts.
package struct JobStore: Sendable {
    let connection: LedgerConnection

    /// Writes the job graph in one transaction; jobs can be claimed after its commit.
    package func insertGraph(
        _ graph: JobGraph, jobs: [PlannedJobs], for run: RunRecord
    ) async throws {
        var statements: [String] = []
        let runID = SQL.literal(run.runID.description)
        for need in graph.needs {
            statements.append(
                "INSERT INTO bda.job_need VALUES (\(runID), \(SQL.literal(need.segment.description)), \(SQL.literal(need.needs.description)), \(need.isSamePartition))"
            )
        }
        for planned in jobs {
            let ids = planned.jobs.indices.map { JobID(run: run.runID, segment: planned.segment, partition: $0) }
            let pages: (KeyPath<(pageFrom: Int?, pageTo: Int?), Int?>) -> String = { path in
                "{" + planned.jobs.map { $0[keyPath: path].map { "\($0)" } ?? "NULL" }.joined(separator: ",") + "}"
            }
            let segment = SQL.literal(planned.segment.description)
            // The known duration with another partition count is the best estimate, before one by the tables' sizes.
            statements.append(
                """
                INSERT INTO bda.job (job_id, run_id, segment, partition_no, page_from, page_to, expected_seconds)
                SELECT n.job_id, \(runID), \(segment), n.ordinality - 1, n.page_from, n.page_to,
                       COALESCE(k.seconds, (SELECT pg_catalog.avg(a.seconds) FROM bda.expected_seconds(\(SQL.literal(run.clientID)), \(SQL.literal(run.environment)), \(segment)) AS a), \(planned.expectedSeconds))
                FROM ROWS FROM (unnest(\(SQL.literal(SQL.array(ids.map(\.description))))::text[]), unnest('\(pages(\.pageFrom))'::bigint[]), unnest('\(pages(\.pageTo))'::bigint[]))
                     WITH ORDINALITY AS n (job_id, page_from, page_to, ordinality)
                LEFT JOIN bda.expected_seconds(\(SQL.literal(run.clientID)), \(SQL.literal(run.environment)), \(segment)) AS k
                       ON k.partition_no = n.ordinality - 1 AND k.partition_count = \(run.partitionCount)
                """)
        }
        statements.append(
            "UPDATE bda.run SET graph_at = pg_catalog.clock_timestamp() WHERE run_id = \(runID) AND owner_number = \(run.ownerNumber)"
        )
        try await connection.execute(
            "BEGIN;\n" + statements.joined(separator: ";\n") + ";\nCOMMIT", within: .seconds(300),
            action: "write the job graph")
    }

    /// How often a worker notes that it is active.
    package static let heartbeat = Duration.seconds(5)

    /// The number of a client's workers that were active within the last half minute.
    package func activeWorkers(clientID: String, environment: String) async throws -> Int {
        try await connection.query(
            """
            SELECT count(*) FROM bda.worker
            WHERE client_id = $1 AND environment = $2
              AND seen_at > pg_catalog.clock_timestamp() - INTERVAL '30 seconds'
            """, [clientID, environment], action: "count the active workers"
        ).firstValue.flatMap { Int($0) } ?? 0
    }

    /// Notes that a worker is active, and removes workers that were not active for a day.
    package func noteWorker(_ workerID: String, clientID: String, environment: String, slots: Int) async throws {
        try await connection.query(
            """
            WITH gone AS (
                DELETE FROM bda.worker WHERE (client_id, environment, worker_id) IN (
                    SELECT w.client_id, w.environment, w.worker_id FROM bda.worker AS w
                    WHERE w.worker_id <> $3 AND w.seen_at < pg_catalog.clock_timestamp() - INTERVAL '1 day'
                    FOR UPDATE SKIP LOCKED)
            )
            INSERT INTO bda.worker (client_id, environment, worker_id, slots) VALUES ($1, $2, $3, $4::int)
            ON CONFLICT (client_id, environment, worker_id) DO UPDATE
            SET slots = excluded.slots, seen_at = excluded.seen_at
            """, [clientID, environment, workerID, "\(slots)"], action: "note that the worker is active")
    }

    /// Removes a worker that has drained.
    package func removeWorker(_ workerID: String, clientID: String, environment: String) async throws {
        try await connection.query(
            "DELETE FROM bda.worker WHERE client_id = $1 AND environment = $2 AND worker_id = $3",
            [clientID, environment, workerID], action: "remove the note of the worker")
    }

    /// Marks jobs with a result as done, fails jobs without attempts left, and readies jobs whose needs are met.
    /// Returns the number of jobs in each state.
    package func advance(_ run: RunRecord) async throws -> JobCounts {
        var counts = JobCounts()
        for record in try await connection.owned(
            "SELECT state, jobs FROM bda.advance($1, $2::bigint)", by: run, action: "advance the run's jobs"
        ).records { counts.set(try JobState(record), try record.integer("jobs")) }
        return counts
    }

    /// The jobs whose request is due, longest expected first; they count as published from now on.
    package func takeDueRequests(_ run: RunRecord) async throws -> [JobID] {
        try await connection.owned(
            "SELECT job_id FROM bda.take_due_requests($1, $2::bigint, 5)", by: run, action: "read the due jobs"
        ).rows.map { try JobID($0[0] ?? "") }
    }

    /// Claims a job for a session and commits: the named job, or the ready one with the longest expected duration.
    /// Returns nil if no job is claimable.
    package func claim(
        _ jobID: JobID?, clientID: String, environment: String, workerID: String, backend: PostgresSession.Backend,
        leaseSeconds: Int
    ) async throws -> Claim? {
        let record = try await connection.query(
            """
            SELECT job_id, page_from, page_to, attempt, attempts_left, former_pid, former_start::text
            FROM bda.claim($1, $2, $3, $4, $5::int, $6::timestamptz, $7::int)
            """,
            [
                jobID?.description, clientID, environment, workerID, "\(backend.pid)", backend.start, "\(leaseSeconds)",
            ], action: "claim a job"
        ).records.first
        guard let record else { return nil }
        var former: PostgresSession.Backend?
        if let pid = record.optional("former_pid").flatMap({ Int($0) }), let start = record.optional("former_start") {
            former = PostgresSession.Backend(pid: pid, start: start)
        }
        return Claim(
            jobID: try JobID(record.text("job_id")), attempt: try record.integer("attempt"),
            attemptsLeft: try record.integer("attempts_left"),
            pageFrom: record.optional("page_from").flatMap { Int($0) },
            pageTo: record.optional("page_to").flatMap { Int($0) }, former: former)
    }

    /// Renews leases and notes progress. Returns the claims that are still held; a claim whose job is done counts as
    /// held.
    package func renew(
        _ claims: [(claim: Claim, rows: Int)], leaseSeconds: Int
    ) async throws -> Set<JobID> {
        let rows = try await connection.query(
            """
            SELECT job_id FROM bda.renew($1::text[], $2::int[], $3::bigint[], $4::int)
            UNION ALL
            SELECT j.job_id FROM unnest($1::text[], $2::int[]) AS mine (job_id, attempt)
            JOIN bda.job AS j ON j.job_id = mine.job_id AND j.attempt = mine.attempt WHERE j.state = 'done'
            """,
            [
                SQL.array(claims.map { $0.claim.jobID.description }), SQL.array(claims.map { "\($0.claim.attempt)" }),
                SQL.array(claims.map { "\($0.rows)" }), "\(leaseSeconds)",
            ], action: "renew the leases"
        ).rows
        return Set(try rows.map { try JobID($0[0] ?? "") })
    }

    /// Returns the claims that are still held; a claim whose job is done counts as held. Changes nothing.
    package func heldClaims(of claims: [Claim]) async throws -> Set<JobID> {
        let rows = try await connection.query(
            """
            SELECT j.job_id FROM unnest($1::text[], $2::int[]) AS mine (job_id, attempt)
            JOIN bda.job AS j ON j.job_id = mine.job_id AND j.attempt = mine.attempt
            JOIN bda.run AS r ON r.run_id = j.run_id
            WHERE j.state = 'done' OR (j.state = 'running' AND r.state = 'running')
            """,
            [SQL.array(claims.map(\.jobID.description)), SQL.array(claims.map { "\($0.attempt)" })],
            action: "read the claims"
        ).rows
        return Set(try rows.map { try JobID($0[0] ?? "") })
    }

    /// Ends an attempt without a result. Returns false if the claim was lost before.
    package func endAttempt(
        _ claim: Claim, outcome: JobOutcome, code: String, message: String, hint: String?
    ) async throws -> Bool {
        var retryAfter: Double?
        if case .retry(let seconds) = outcome { retryAfter = seconds }
        return try await connection.query(
            "SELECT bda.end_attempt($1, $2::int, $3, $4, $5, $6, $7::float8)",
            [
                claim.jobID.description, "\(claim.attempt)", outcome.name, code, message, hint,
                "\(retryAfter ?? 0)",
            ], action: "end an attempt"
        ).firstValue == "t"
    }
}

/// One segment's jobs as they are written to the ledger.
package struct PlannedJobs: Sendable {
    package var segment: SegmentName
    /// One entry for each job, with its page range if it is split by pages.
    package var jobs: [(pageFrom: Int?, pageTo: Int?)]
    /// The expected duration of one job if no former run gives one.
    package var expectedSeconds: Double

    package init(segment: SegmentName, jobs: [(pageFrom: Int?, pageTo: Int?)], expectedSeconds: Double = 1) {
        self.segment = segment
        self.jobs = jobs
        self.expectedSeconds = expectedSeconds
    }
}

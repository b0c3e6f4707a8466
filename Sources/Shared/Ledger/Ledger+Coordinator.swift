package import Scripts
import Foundation
package import JobModel
import Postgres

/// What a check found.
package struct Finding: Sendable, Hashable {
    /// The segment.
    package var segment: SegmentName
    /// What violating rows mean.
    package var severity: Severity
    /// What to do about it.
    package var hint: String?
    /// All violating rows.
    package var rows: Int
    /// The first of them.
    package var columns: [String]
    /// The first violating rows, values by column; nil is NULL.
    package var sample: [[String?]]

    /// A finding of a check.
    package init(
        segment: SegmentName, severity: Severity, hint: String?, rows: Int, columns: [String], sample: [[String?]]
    ) {
        self.segment = segment
        self.severity = severity
        self.hint = hint
        self.rows = rows
        self.columns = columns
        self.sample = sample
    }
}

/// Another coordinator has taken the run over; this one changes nothing any more.
package struct OwnershipLost: Error, CustomStringConvertible, Sendable {
    /// What people read.
    package let description = "another coordinator has taken the run over"

    /// Said by the ledger.
    package init() {}
}

/// One segment's jobs as they are written to the ledger.
package struct PlannedJobs: Sendable {
    /// The segment.
    package var segment: SegmentName
    /// One an entry, with its page range if it is split by pages.
    package var jobs: [(pageFrom: Int?, pageTo: Int?)]
    /// What one of them is expected to take when no former run knows it.
    package var expectedSeconds: Double

    /// The jobs of a segment.
    package init(segment: SegmentName, jobs: [(pageFrom: Int?, pageTo: Int?)], expectedSeconds: Double = 1) {
        self.segment = segment
        self.jobs = jobs
        self.expectedSeconds = expectedSeconds
    }
}

/// How many jobs of a run are in each state.
package struct JobCounts: Sendable, Hashable {
    /// Waiting for other jobs.
    package var blocked = 0
    /// Waiting for a worker.
    package var ready = 0
    /// Under way.
    package var running = 0
    /// With their result.
    package var done = 0
    /// Ended without a result, with no attempt left.
    package var failed = 0

    /// No jobs.
    package init() {}

    /// All of them.
    package var total: Int { blocked + ready + running + done + failed }

    mutating func set(_ state: JobState, _ count: Int) {
        switch state {
        case .blocked: blocked = count
        case .ready: ready = count
        case .running: running = count
        case .done: done = count
        case .failed: failed = count
        }
    }
}

extension JobState {
    /// The state in a row's column of that name.
    init(_ record: PostgresRecord) throws { self = JobState(rawValue: try record.text("state"))! }
}

/// A completion whose event the ledger does not know to be sent.
package struct OwedEvent: Sendable {
    /// The event that is owed.
    package var body: JobCompleted
}

/// One part of a run's result.
package struct RunPart: Sendable, Hashable {
    /// The job.
    package var jobID: JobID
    /// The part.
    package var part: PartRecord
}

extension Ledger {
    /// The key of the advisory lock that makes one coordinator of a date.
    package static func dateLockKey(clientID: String, environment: String, businessDate: BusinessDate) -> String {
        "bda.date_lock_key(\(SQL.literal(clientID)), \(SQL.literal(environment)), \(SQL.literal(businessDate.description)))"
    }

    /// Writes a new run, owned by `owner` with number 1.
    package func insert(_ run: RunRecord) async throws {
        try await query(
            """
            INSERT INTO bda.run (run_id, client_id, environment, business_date, cutoff, systems, is_complete_set,
                partition_count, rows_per_part, upload_part_bytes, compression, compression_level, output, output_prefix,
                max_attempts, retry_base_seconds, retry_max_seconds, job_timeout_seconds, owner, snapshot_id)
            VALUES ($1, $2, $3, $4::date, $5::timestamptz, $6::text[], $7::boolean, $8::int, $9::bigint, $10::bigint, $11,
                $12::int, $13, $14, $15::int, $16::int, $17::int, $18::int, $19, $20)
            """,
            [
                run.runID.description, run.clientID, run.environment, run.businessDate.description, run.cutoff,
                SQL.array(run.systems), "\(run.isCompleteSet)", "\(run.partitionCount)", "\(run.rowsPerPart)",
                "\(run.uploadPartBytes)", run.compression.rawValue, run.compressionLevel.map { "\($0)" }, run.output,
                run.outputPrefix, "\(run.maxAttempts)", "\(run.retryBaseSeconds)", "\(run.retryMaxSeconds)",
                "\(run.jobTimeoutSeconds)", run.owner, run.snapshotID,
            ], action: "write the run")
    }

    /// Makes `owner` the run's owner and returns its number; all former owners' steps fail from now on.
    package func takeOwnership(of runID: RunID, owner: String) async throws -> Int {
        try await query(
            "UPDATE bda.run SET owner_number = owner_number + 1, owner = $2 WHERE run_id = $1 RETURNING owner_number",
            [runID.description, owner], action: "take the run over"
        ).records.first?.integer("owner_number") ?? 0
    }

    /// Stores the texts of the run's scripts and which they are.
    package func insertScripts(
        _ scripts: [(script: SegmentScript, columns: [DatasetColumn], tables: [String])], for runID: RunID
    ) async throws {
        for (script, columns, tables) in scripts {
            let json = columns.isEmpty ? nil : String(decoding: try WireFormat.encode(columns), as: UTF8.self)
            try await query(
                """
                WITH text AS (INSERT INTO bda.script (digest, text) VALUES ($5, $6) ON CONFLICT (digest) DO NOTHING)
                INSERT INTO bda.run_script (run_id, segment, kind, file, digest, columns, reads, tables)
                VALUES ($1, $2, $3, $4, $5, $7::jsonb, $8, $9::text[]) ON CONFLICT (run_id, segment) DO NOTHING
                """,
                [
                    runID.description, script.segment.name.description, script.segment.kind.rawValue, script.text.file,
                    script.digest, script.text.text, json, script.segment.reads.rawValue, SQL.array(tables),
                ], action: "store a script")
        }
    }

    /// All scripts of a run, in order of name.
    package func scripts(of runID: RunID) async throws -> [RunScript] {
        try await query(
            """
            SELECT \(RunScript.columns) FROM bda.run_script AS s JOIN bda.script AS t ON t.digest = s.digest
            WHERE s.run_id = $1 ORDER BY s.segment
            """, [runID.description], action: "read the run's scripts"
        ).records.map { try RunScript($0) }
    }

    /// Writes the job graph in one transaction; from its end on jobs can be claimed.
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
            // A known time of another partition count is the best guess there is, before one by the tables' sizes.
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
        try await connected().execute(
            "BEGIN;\n" + statements.joined(separator: ";\n") + ";\nCOMMIT", action: "write the job graph")
    }

    /// Settles, gives up and readies jobs; returns how many are in each state.
    package func advance(_ run: RunRecord) async throws -> JobCounts {
        var counts = JobCounts()
        for record in try await owned(
            "SELECT state, jobs FROM bda.advance($1, $2::bigint)", [run.runID.description, "\(run.ownerNumber)"],
            action: "look at the run's jobs"
        ).records { counts.set(try JobState(record), try record.integer("jobs")) }
        return counts
    }

    /// The jobs whose request is due on the wire, longest expected first; they count as published from now on.
    package func takeDueRequests(_ run: RunRecord) async throws -> [JobID] {
        try await owned(
            "SELECT job_id FROM bda.take_due_requests($1, $2::bigint, 5)",
            [run.runID.description, "\(run.ownerNumber)"], action: "read the due jobs"
        ).rows.map { try JobID($0[0] ?? "") }
    }

    /// One step by compare-and-set. False when the run is not in the state that it should come from.
    package func enterState(_ run: RunRecord, from: RunState, to: RunState) async throws -> Bool {
        try await owned(
            "SELECT bda.enter_state($1, $2::bigint, $3, $4)",
            [run.runID.description, "\(run.ownerNumber)", from.rawValue, to.rawValue], action: "record the run's step"
        ).firstValue == "t"
    }

    /// Ends a run that cannot go on. False: its publication has begun, so BI may have seen it, and it can only go forward.
    package func fail(
        _ run: RunRecord, state: RunState = .failed, exitCode: Int, reason: String, hint: String?
    ) async throws -> Bool {
        let ended = try await query(
            """
            UPDATE bda.run SET state = $3, exit_code = $4::int, reason = $5, hint = $6, ended_at = pg_catalog.clock_timestamp()
            WHERE run_id = $1 AND owner_number = $2::bigint AND state IN ('running', 'verified') AND manifest_uri IS NULL
            """,
            [run.runID.description, "\(run.ownerNumber)", state.rawValue, "\(exitCode)", reason, hint],
            action: "record the run's end")
        if ended.affectedRows == 0 { try await assertOwner(run) }
        return ended.affectedRows == 1
    }

    /// Notes the snapshot under which the run's vault reading goes on.
    package func setSnapshot(_ snapshotID: String?, of run: RunRecord) async throws {
        try await change(run, set: "snapshot_id = $3", [snapshotID], action: "note the snapshot")
    }

    /// Notes since when Kafka has not been there for the date's open run; nil: it is. Anybody may say so.
    package func noteKafkaOutage(
        since: String?, clientID: String, environment: String, businessDate: BusinessDate
    ) async throws {
        try await query(
            """
            UPDATE bda.run SET kafka_unreachable_since = $4::timestamptz
            WHERE client_id = $1 AND environment = $2 AND business_date = $3::date
              AND state NOT IN ('closed', 'failed', 'cancelled')
              AND kafka_unreachable_since IS DISTINCT FROM $4::timestamptz
            """, [clientID, environment, businessDate.description, since], action: "note whether Kafka is there")
    }

    /// Notes the run's manifest before `latest` names it. From here on the run cannot fail any more.
    package func setManifest(uri: String, sha256: String, replaces: RunID?, of run: RunRecord) async throws {
        try await change(
            run, set: "manifest_uri = $3, manifest_sha256 = $4, replaces_run_id = $5",
            [uri, sha256, replaces?.description], action: "note the manifest")
    }

    /// Stores what a check found.
    package func insert(_ finding: Finding, of runID: RunID) async throws {
        let sample = finding.sample.map { row in
            Dictionary(zip(finding.columns, row).map { ($0, $1) }, uniquingKeysWith: { first, _ in first })
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try await query(
            """
            INSERT INTO bda.finding (run_id, segment, severity, hint, rows, sample)
            VALUES ($1, $2, $3, $4, $5::bigint, $6::jsonb)
            ON CONFLICT (run_id, segment) DO UPDATE SET rows = excluded.rows, sample = excluded.sample
            """,
            [
                runID.description, finding.segment.description, finding.severity.rawValue, finding.hint,
                "\(finding.rows)", String(decoding: try encoder.encode(sample), as: UTF8.self),
            ], action: "store a finding")
    }

    /// What checks of severity `warn` found.
    package func warnings(of runID: RunID) async throws -> [RunManifest.Warning] {
        try await query(
            "SELECT segment, rows, hint FROM bda.finding WHERE run_id = $1 AND severity = 'warn' AND rows > 0 ORDER BY segment",
            [runID.description], action: "read the findings"
        ).records.map {
            RunManifest.Warning(
                check: try SegmentName($0.text("segment")), rows: try $0.integer("rows"), hint: $0.optional("hint"))
        }
    }

    /// All parts of a run in order of job and number.
    package func parts(of runID: RunID) async throws -> [RunPart] {
        try await query(
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
        try await query(
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

    /// Completions that are a few seconds old and whose event nobody noted as sent: their worker may have died.
    package func owedEvents(of runID: RunID, olderThanSeconds: Int, limit: Int) async throws -> [OwedEvent] {
        try await query(
            """
            SELECT d.job_id, d.attempt, d.worker_id, d.rows, d.bytes, d.duration_ms,
                   (SELECT count(*) FROM bda.part AS p WHERE p.job_id = d.job_id) AS parts,
                   (SELECT COALESCE(jsonb_agg(jsonb_build_object('name', t.name, 'currency', t.currency, 'amount', t.amount::text)
                                              ORDER BY t.name, t.currency), '[]')
                    FROM bda.total AS t WHERE t.job_id = d.job_id)::text AS totals
            FROM bda.job AS j JOIN bda.result AS d ON d.job_id = j.job_id
            WHERE j.run_id = $1 AND d.event_sent_at IS NULL
              AND d.finished_at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2::int)
            ORDER BY d.finished_at LIMIT $3::int
            """, [runID.description, "\(olderThanSeconds)", "\(limit)"], action: "read the owed events"
        ).records.map {
            OwedEvent(
                body: JobCompleted(
                    jobID: try JobID($0.text("job_id")), attempt: try $0.integer("attempt"),
                    workerID: try $0.text("worker_id"), rows: try $0.integer("rows"), bytes: try $0.integer("bytes"),
                    partCount: try $0.integer("parts"),
                    totals: try WireFormat.decode([ControlTotal].self, from: $0.text("totals").utf8),
                    durationMs: try $0.integer("duration_ms")))
        }
    }

    /// The newest published run of a date, other than the given one.
    package func publishedRun(
        clientID: String, environment: String, businessDate: BusinessDate, except runID: RunID
    ) async throws -> RunID? {
        try await query(
            """
            SELECT run_id FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND business_date = $3::date AND run_id <> $4
              AND published_at IS NOT NULL AND is_complete_set
            ORDER BY published_at DESC LIMIT 1
            """, [clientID, environment, businessDate.description, runID.description], action: "look for a former run"
        ).firstValue.map { try RunID($0) }
    }

    /// The newest business date that was published whole.
    package func newestPublishedDate(clientID: String, environment: String) async throws -> BusinessDate? {
        try await query(
            """
            SELECT max(business_date)::text FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND published_at IS NOT NULL AND is_complete_set
            """, [clientID, environment], action: "look for the newest date"
        ).firstValue.map { try BusinessDate($0) }
    }

    /// The runs that have ended, oldest first.
    package func endedRuns(clientID: String, environment: String) async throws -> [RunRecord] {
        try await query(
            """
            SELECT \(RunRecord.columns) FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND state IN ('closed', 'failed', 'cancelled') ORDER BY run_id
            """, [clientID, environment], action: "read the ended runs"
        ).records.map { try RunRecord($0) }
    }

    /// Removes all that the ledger knows of an ended run, and the texts of scripts that no other run used.
    package func remove(_ runID: RunID) async throws {
        let run = SQL.literal(runID.description)
        let ofJobs = ["part", "total", "attempt", "result"].map {
            "DELETE FROM bda.\($0) WHERE job_id IN (SELECT job_id FROM bda.job WHERE run_id = \(run))"
        }
        let ofRun = ["job", "job_need", "finding", "snapshot_keeper", "run_script", "run"].map {
            "DELETE FROM bda.\($0) WHERE run_id = \(run)"
        }
        let texts = """
            DELETE FROM bda.script AS s
            WHERE NOT EXISTS (SELECT FROM bda.run_script AS r WHERE r.digest = s.digest)
            """
        try await connected().execute(
            "BEGIN;\n" + (ofJobs + ofRun + [texts]).joined(separator: ";\n") + ";\nCOMMIT",
            action: "remove run \(runID) from the ledger")
    }

    /// Throws `OwnershipLost` when another coordinator has taken the run over.
    package func assertOwner(_ run: RunRecord) async throws {
        try await owned(
            "SELECT bda.assert_owner($1, $2::bigint)", [run.runID.description, "\(run.ownerNumber)"],
            action: "look whose run it is")
    }

    /// A statement that raises BDA02 in a transaction of another session when the run is another coordinator's.
    package static func ownerAssertion(_ run: RunRecord) -> String {
        "SELECT bda.assert_owner(\(SQL.literal(run.runID.description)), \(run.ownerNumber))"
    }

    /// Changes the run's row. Throws `OwnershipLost` for a former owner.
    private func change(_ run: RunRecord, set columns: String, _ values: [String?], action: String) async throws {
        let changed = try await query(
            "UPDATE bda.run SET \(columns) WHERE run_id = $1 AND owner_number = $2::bigint",
            [run.runID.description, "\(run.ownerNumber)"] + values, action: action)
        if changed.affectedRows == 0 { throw OwnershipLost() }
    }

    /// A statement that raises BDA02 for a former owner.
    @discardableResult
    private func owned(_ sql: String, _ parameters: [String?], action: String) async throws -> PostgresResult {
        do {
            return try await query(sql, parameters, action: action)
        } catch let error as PostgresError where error.sqlState == "BDA02" {
            throw OwnershipLost()
        }
    }
}

package import Scripts
package import JobModel
package import Postgres

/// A job that is this worker's until its lease runs out.
package struct Claim: Sendable, Hashable {
    /// The job.
    package let jobID: JobID
    /// Counted from 1.
    package let attempt: Int
    /// How many attempts are left after this one.
    package let attemptsLeft: Int
    /// The first page and the page after the last, for a job that is split by pages.
    package let pageFrom: Int?
    /// The page after the last; nil for the last range.
    package let pageTo: Int?
    /// The session of the attempt whose lease ran out, if this is a take-over: it must be gone before the work begins.
    package let former: PostgresSession.Backend?

    /// The claim of a history segment, which the coordinator that owns the run does itself.
    package static func ofCoordinator(_ jobID: JobID) -> Claim {
        Claim(jobID: jobID, attempt: 1, attemptsLeft: 0, pageFrom: nil, pageTo: nil, former: nil)
    }
}

/// One file of a job's result.
package struct PartRecord: Sendable, Hashable, Codable {
    /// Counted from 1.
    package var partNo: Int
    /// Its key.
    package var key: String
    /// Data rows.
    package var rows: Int
    /// Stored bytes.
    package var bytes: Int
    /// Of the stored bytes, hexadecimal.
    package var sha256: String

    /// A part of the given figures.
    package init(partNo: Int, key: String, rows: Int, bytes: Int, sha256: String) {
        self.partNo = partNo
        self.key = key
        self.rows = rows
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// What a job's work came to.
package struct JobResult: Sendable, Hashable {
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
    /// Wall time in milliseconds.
    package var durationMs: Int
    /// Parts, that is files.
    package var parts: [PartRecord]
    /// The control totals.
    package var totals: [ControlTotal]

    /// A result of the given figures.
    package init(rows: Int, bytes: Int, durationMs: Int, parts: [PartRecord], totals: [ControlTotal]) {
        self.rows = rows
        self.bytes = bytes
        self.durationMs = durationMs
        self.parts = parts
        self.totals = totals
    }
}

extension Ledger {
    /// Claims a job for a session, committed at once: the named one, or the ready one that is expected to take longest.
    /// Nil when it is not to be had.
    package func claim(
        _ jobID: JobID?, clientID: String, environment: String, workerID: String, backend: PostgresSession.Backend,
        leaseSeconds: Int
    ) async throws -> Claim? {
        let record = try await query(
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

    /// Renews leases and notes progress. Returns which of the claims are still held; a claim whose job is done counts.
    package func renew(
        _ claims: [(claim: Claim, rows: Int)], leaseSeconds: Int
    ) async throws -> Set<JobID> {
        let rows = try await query(
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

    /// Which of the claims are still held; a claim whose job is done counts as held. Changes nothing.
    package func heldClaims(of claims: [Claim]) async throws -> Set<JobID> {
        let rows = try await query(
            """
            SELECT j.job_id FROM unnest($1::text[], $2::int[]) AS mine (job_id, attempt)
            JOIN bda.job AS j ON j.job_id = mine.job_id AND j.attempt = mine.attempt
            JOIN bda.run AS r ON r.run_id = j.run_id
            WHERE j.state = 'done' OR (j.state = 'running' AND r.state = 'running')
            """,
            [SQL.array(claims.map(\.jobID.description)), SQL.array(claims.map { "\($0.attempt)" })],
            action: "look at the claims"
        ).rows
        return Set(try rows.map { try JobID($0[0] ?? "") })
    }

    /// Ends an attempt without a result. False when the claim was lost before.
    package func endAttempt(
        _ claim: Claim, outcome: JobOutcome, code: String, message: String, hint: String?
    ) async throws -> Bool {
        var retryAfter: Double?
        if case .retry(let seconds) = outcome { retryAfter = seconds }
        return try await query(
            "SELECT bda.end_attempt($1, $2::int, $3, $4, $5, $6, $7::float8)",
            [
                claim.jobID.description, "\(claim.attempt)", outcome.name, code, message, hint,
                "\(retryAfter ?? 0)",
            ], action: "end an attempt"
        ).firstValue == "t"
    }

    /// Notes that the completion events of jobs are with the broker.
    package func markEventsSent(_ jobIDs: [JobID]) async throws {
        try await query(
            """
            UPDATE bda.result SET event_sent_at = pg_catalog.clock_timestamp()
            WHERE job_id = ANY ($1::text[]) AND event_sent_at IS NULL
            """, [SQL.array(jobIDs.map(\.description))], action: "note sent events")
    }

    /// The script of a segment as the run recorded it.
    package func script(of segment: SegmentName, in runID: RunID) async throws -> RunScript? {
        let record = try await query(
            """
            SELECT \(RunScript.columns) FROM bda.run_script AS s JOIN bda.script AS t ON t.digest = s.digest
            WHERE s.run_id = $1 AND s.segment = $2
            """, [runID.description, segment.description], action: "read a script"
        ).records.first
        return try record.map { try RunScript($0) }
    }

    /// The result of a job, if it has one.
    package func hasResult(_ jobID: JobID) async throws -> Bool {
        try await query(
            "SELECT EXISTS (SELECT FROM bda.result WHERE job_id = $1)", [jobID.description], action: "look for a result"
        ).firstValue == "t"
    }
}

/// A script as a run recorded it: what every job of the run executes, whatever lies in folders and images since.
package struct RunScript: Sendable {
    /// The script.
    package let script: SegmentScript
    /// Archive segments: the columns of the dataset.
    package let columns: [DatasetColumn]
    /// Segments that read the vaults: their tables, as `schema.table`.
    package let tables: [String]

    static let columns = "s.kind, s.file, s.columns::text, array_to_string(s.tables, ',') AS tables, t.text"

    init(_ record: PostgresRecord) throws {
        let file = try record.text("file")
        var problems: [ScriptProblem] = []
        guard let kind = SegmentKind(rawValue: try record.text("kind")) else {
            throw ScriptProblem(file: file, line: nil, message: "the ledger holds an unknown kind of segment")
        }
        let text = ScriptText(text: try record.text("text"), file: file, problems: &problems)
        guard let script = SegmentScript(text: text, kind: kind, problems: &problems), problems.isEmpty else {
            throw problems.first ?? ScriptProblem(file: file, line: nil, message: "the header cannot be read")
        }
        self.script = script
        columns =
            try record.optional("columns").map { try WireFormat.decode([DatasetColumn].self, from: $0.utf8) } ?? []
        tables = try record.text("tables").split(separator: ",").map(String.init)
    }
}

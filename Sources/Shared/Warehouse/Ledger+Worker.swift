public import JobModel
public import Postgres

/// A job that is this worker's until its lease runs out.
public struct Claim: Sendable, Hashable {
    /// The job.
    public let jobID: JobID
    /// Counted from 1.
    public let attempt: Int
    /// How many attempts are left after this one.
    public let attemptsLeft: Int
    /// The first page and the page after the last, for a job that is split by pages.
    public let pageFrom: Int?
    /// The page after the last; nil for the last range.
    public let pageTo: Int?
    /// The session of the attempt whose lease ran out, if this is a take-over: it must be gone before the work begins.
    public let former: PostgresSession.Backend?

    /// The claim of a history segment, which the coordinator that owns the run does itself.
    public static func ofCoordinator(_ jobID: JobID) -> Claim {
        Claim(jobID: jobID, attempt: 1, attemptsLeft: 0, pageFrom: nil, pageTo: nil, former: nil)
    }
}

/// One file of a job's result.
public struct PartRecord: Sendable, Hashable, Codable {
    /// Counted from 1.
    public var partNo: Int
    /// Its key.
    public var key: String
    /// Data rows.
    public var rows: Int
    /// Stored bytes.
    public var bytes: Int
    /// Of the stored bytes, hexadecimal.
    public var sha256: String

    /// A part of the given figures.
    public init(partNo: Int, key: String, rows: Int, bytes: Int, sha256: String) {
        self.partNo = partNo
        self.key = key
        self.rows = rows
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// What a job's work came to.
public struct JobResult: Sendable, Hashable {
    /// Data rows.
    public var rows: Int
    /// Bytes as stored.
    public var bytes: Int
    /// Wall time in milliseconds.
    public var durationMs: Int
    /// Parts, that is files.
    public var parts: [PartRecord]
    /// The control totals.
    public var totals: [ControlTotal]

    /// A result of the given figures.
    public init(rows: Int, bytes: Int, durationMs: Int, parts: [PartRecord], totals: [ControlTotal]) {
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
    public func claim(
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
    public func renew(
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
    public func heldClaims(of claims: [Claim]) async throws -> Set<JobID> {
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
    public func endAttempt(
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
    public func markEventsSent(_ jobIDs: [JobID]) async throws {
        try await query(
            """
            UPDATE bda.result SET event_sent_at = pg_catalog.clock_timestamp()
            WHERE job_id = ANY ($1::text[]) AND event_sent_at IS NULL
            """, [SQL.array(jobIDs.map(\.description))], action: "note sent events")
    }

    /// The script of a segment as the run recorded it.
    public func script(of segment: SegmentName, in runID: RunID) async throws -> RunScript? {
        let record = try await query(
            """
            SELECT \(RunScript.columns) FROM bda.run_script AS s JOIN bda.script AS t ON t.digest = s.digest
            WHERE s.run_id = $1 AND s.segment = $2
            """, [runID.description, segment.description], action: "read a script"
        ).records.first
        return try record.map { try RunScript($0) }
    }

    /// The result of a job, if it has one.
    public func hasResult(_ jobID: JobID) async throws -> Bool {
        try await query(
            "SELECT EXISTS (SELECT FROM bda.result WHERE job_id = $1)", [jobID.description], action: "look for a result"
        ).firstValue == "t"
    }
}

/// A script as a run recorded it: what every job of the run executes, whatever lies in folders and images since.
public struct RunScript: Sendable {
    /// The script.
    public let script: SegmentScript
    /// Archive segments: the columns of the dataset.
    public let columns: [DatasetColumn]
    /// Segments that read the vaults: their tables, as `schema.table`.
    public let tables: [String]

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

/// The transaction of one attempt, on the session that does its work.
public enum WorkTransaction {
    /// The run's snapshot cannot be imported any more: whoever held it is gone.
    public struct SnapshotLost: Error, CustomStringConvertible, Sendable {
        /// What people read.
        public let description: String
    }

    /// What a transaction's statements see of others' commits.
    public enum Isolation: String, Sendable {
        /// The same for all of them: what was committed when the first began, or the imported snapshot.
        case repeatableRead = "REPEATABLE READ"
        /// What was committed when each began: what waits for a lock sees what the lock's last holder wrote.
        case readCommitted = "READ COMMITTED"
    }

    /// Begins, in the run's snapshot or in a fresh one, and returns the transaction's id for `commit`. After `SnapshotLost`
    /// the session can be used for another try.
    ///
    /// - Parameters:
    ///   - tables: with a snapshot, the tables that the script reads; they are locked in ACCESS SHARE mode.
    ///   - lockWait: how long these locks are waited for, a minute by default; then it is SQLSTATE 55P03.
    public static func begin(
        in session: PostgresSession, snapshotID: String?, locking tables: [String] = [],
        lockWait: Duration? = nil, isolation: Isolation = .repeatableRead
    ) async throws -> String {
        var statements = ["BEGIN ISOLATION LEVEL \(isolation.rawValue)"]
        if let snapshotID {
            statements += Snapshot.import(snapshotID, locking: tables, within: lockWait ?? Snapshot.lockWait)
        }
        statements.append("SELECT pg_catalog.pg_current_xact_id()")
        let begun = { try await session.execute(statements.joined(separator: "; "), action: "begin the work") }
        let id = snapshotID == nil ? try await begun() : try await Snapshot.importing(in: session, begun)
        return id.firstValue ?? ""
    }

    /// Inserts the result as the last statement and commits. False: the job was done before, and nothing of this attempt
    /// remains.
    public static func commit(
        in session: PostgresSession, claim: Claim, workerID: String, transactionID: String, result: JobResult
    ) async throws -> Bool {
        let arguments = [
            SQL.literal(claim.jobID.description), "\(claim.attempt)", SQL.literal(workerID), SQL.literal(transactionID),
            "\(result.rows)", "\(result.bytes)", "\(result.durationMs)",
            SQL.literal(String(decoding: try WireFormat.encode(result.parts), as: UTF8.self)),
            SQL.literal(String(decoding: try WireFormat.encode(result.totals), as: UTF8.self)),
        ]
        do {
            try await session.execute(
                "SELECT bda.record_result(\(arguments.joined(separator: ", "))); COMMIT", action: "commit the result")
            return true
        } catch let error as PostgresError where error.isUniqueViolation {
            try await session.execute("ROLLBACK", action: "roll back a job that was done before")
            return false
        }
    }
}

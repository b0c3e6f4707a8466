import Foundation
package import JobModel
import Postgres
package import Scripts

/// The runs of the ledger: their rows, scripts, findings, owners and steps.
package struct RunStore: Sendable {
    let connection: LedgerConnection

    package func run(_ runID: RunID) async throws -> RunRecord? {
        try await connection.query(
            "SELECT \(RunRecord.columns) FROM bda.run WHERE run_id = $1", [runID.description], action: "read a run"
        ).records.first.map { try RunRecord($0) }
    }

    /// The newest runs of a client and environment, newest first by the database's clock; of one date, or of all dates.
    package func runs(
        clientID: String, environment: String, businessDate: BusinessDate?, limit: Int
    ) async throws -> [RunRecord] {
        try await connection.query(
            """
            SELECT \(RunRecord.columns) FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND ($3::date IS NULL OR business_date = $3::date)
            ORDER BY started_at DESC, run_id DESC LIMIT $4::int
            """, [clientID, environment, businessDate?.description, "\(limit)"], action: "read the runs"
        ).records.map { try RunRecord($0) }
    }

    /// The key of the advisory lock that admits one coordinator for each date.
    package static func dateLockKey(clientID: String, environment: String, businessDate: BusinessDate) -> String {
        "bda.date_lock_key(\(SQL.literal(clientID)), \(SQL.literal(environment)), \(SQL.literal(businessDate.description)))"
    }

    /// Writes a new run, owned by `owner` with number 1.
    package func insert(_ run: RunRecord) async throws {
        try await connection.query(
            """
            INSERT INTO bda.run (run_id, client_id, environment, business_date, cutoff, systems, is_complete_set, settings,
                owner, snapshot_id)
            VALUES ($1, $2, $3, $4::date, $5::timestamptz, $6::text[], $7::boolean, $8::jsonb, $9, $10)
            """,
            [
                run.runID.description, run.clientID, run.environment, run.businessDate.description, run.cutoff,
                SQL.array(run.systems), "\(run.isCompleteSet)",
                String(decoding: try WireFormat.encode(run.settings), as: UTF8.self), run.owner, run.snapshotID,
            ], action: "write the run")
    }

    /// Makes `owner` the run's owner and returns its number; from then on the steps of all former owners fail.
    package func takeOwnership(of runID: RunID, owner: String) async throws -> Int {
        try await connection.query(
            "UPDATE bda.run SET owner_number = owner_number + 1, owner = $2 WHERE run_id = $1 RETURNING owner_number",
            [runID.description, owner], action: "take the run over"
        ).records.first?.integer("owner_number") ?? 0
    }

    /// Stores the texts of the run's scripts and their list.
    package func insertScripts(
        _ scripts: [(script: SegmentScript, columns: [DatasetColumn], tables: [String])], for runID: RunID
    ) async throws {
        for (script, columns, tables) in scripts {
            let json = columns.isEmpty ? nil : String(decoding: try WireFormat.encode(columns), as: UTF8.self)
            try await connection.query(
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
        try await connection.query(
            """
            SELECT \(RunScript.columns) FROM bda.run_script AS s JOIN bda.script AS t ON t.digest = s.digest
            WHERE s.run_id = $1 ORDER BY s.segment
            """, [runID.description], action: "read the run's scripts"
        ).records.map { try RunScript($0) }
    }

    /// Records one step by compare-and-set. Returns false if the run is not in the state `from`.
    package func enterState(_ run: RunRecord, from: RunState, to: RunState) async throws -> Bool {
        try await connection.owned(
            "SELECT bda.enter_state($1, $2::bigint, $3, $4)", by: run, [from.rawValue, to.rawValue],
            action: "record the run's step"
        ).firstValue == "t"
    }

    /// Ends a run that has failed, and cancels its open jobs. Returns false if the run's manifest is noted: consumers
    /// may have read it, and the run can only go forward.
    package func fail(_ run: RunRecord, exitCode: Int, reason: String, hint: String?) async throws -> Bool {
        try await connection.owned(
            "SELECT bda.fail_run($1, $2::bigint, $3::int, $4, $5)", by: run, ["\(exitCode)", reason, hint],
            action: "record the run's end"
        ).firstValue == "t"
    }

    /// Cancels a run in one guarded update, regardless of its owner. It is refused after its manifest is noted.
    ///
    /// - Returns: whether the run is cancelled now, and its state. If it is not, nothing of the run has changed.
    package func cancel(
        _ runID: RunID, by owner: String, exitCode: Int, reason: String
    ) async throws -> (isCancelled: Bool, state: RunState)? {
        try await connection.query(
            "SELECT is_cancelled, state FROM bda.cancel_run($1, $2, $3::int, $4)",
            [runID.description, owner, "\(exitCode)", reason], action: "cancel the run"
        ).records.first.map { (try $0.boolean("is_cancelled"), RunState(rawValue: try $0.text("state"))!) }
    }

    /// Notes the snapshot from which the run's jobs read the vaults.
    package func setSnapshot(_ snapshotID: String?, of run: RunRecord) async throws {
        try await change(run, set: "snapshot_id = $3", [snapshotID], action: "note the snapshot")
    }

    /// The datasets that were ever published, in order of name, each as the newest run published it.
    package func publishedDatasets(
        clientID: String, environment: String, except runID: RunID
    ) async throws -> [PublishedDataset] {
        try await connection.query(
            """
            SELECT DISTINCT ON (s.segment) s.segment, s.columns::text, r.run_id, r.place
            FROM (SELECT run_id, row_number() OVER (ORDER BY published_at, run_id) AS place FROM bda.run
                  WHERE client_id = $1 AND environment = $2 AND run_id <> $3 AND published_at IS NOT NULL) AS r
            JOIN bda.run_script AS s ON s.run_id = r.run_id AND s.kind = 'archive'
            ORDER BY s.segment, r.place DESC
            """, [clientID, environment, runID.description], action: "read the published datasets"
        ).records.map {
            PublishedDataset(
                name: try SegmentName($0.text("segment")), runID: try RunID($0.text("run_id")),
                order: try $0.integer("place"),
                columns: try $0.optional("columns").map { try WireFormat.decode([DatasetColumn].self, from: $0.utf8) }
                    ?? [])
        }
    }

    /// Seconds since the run began, by the database's clock.
    package func age(of runID: RunID) async throws -> Double {
        try await connection.query(
            "SELECT extract(epoch FROM pg_catalog.clock_timestamp() - started_at) FROM bda.run WHERE run_id = $1",
            [runID.description], action: "read the age of the run"
        ).firstValue.flatMap { Double($0) } ?? 0
    }

    /// Notes what blocks the progress of the run, for `status`; nil if nothing does.
    package func noteWaiting(for reason: String?, of run: RunRecord) async throws {
        try await change(run, set: "waiting_for = $3", [reason], action: "note what the run waits for")
    }

    /// Notes the time since which Kafka is unreachable for the date's open run; nil if it is reachable. Needs no
    /// ownership.
    package func noteKafkaOutage(
        since: String?, clientID: String, environment: String, businessDate: BusinessDate
    ) async throws {
        try await connection.query(
            """
            UPDATE bda.run SET kafka_unreachable_since = $4::timestamptz
            WHERE client_id = $1 AND environment = $2 AND business_date = $3::date
              AND state NOT IN ('closed', 'failed', 'cancelled')
              AND kafka_unreachable_since IS DISTINCT FROM $4::timestamptz
            """, [clientID, environment, businessDate.description, since], action: "note whether Kafka is reachable")
    }

    /// Notes the run's manifest before `latest` names it. From then on the run cannot fail any more.
    package func setManifest(uri: String, sha256: String, replaces: RunID?, of run: RunRecord) async throws {
        try await change(
            run, set: "manifest_uri = $3, manifest_sha256 = $4, replaces_run_id = $5",
            [uri, sha256, replaces?.description], action: "note the manifest")
    }

    /// Stores the result of a check.
    package func insert(_ finding: Finding, of runID: RunID) async throws {
        let sample = finding.sample.map { row in
            Dictionary(zip(finding.columns, row).map { ($0, $1) }, uniquingKeysWith: { first, _ in first })
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try await connection.query(
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

    /// The findings of checks of severity `warn`.
    package func warnings(of runID: RunID) async throws -> [RunManifest.Warning] {
        try await connection.query(
            "SELECT segment, rows, hint FROM bda.finding WHERE run_id = $1 AND severity = 'warn' AND rows > 0 ORDER BY segment",
            [runID.description], action: "read the findings"
        ).records.map {
            RunManifest.Warning(
                check: try SegmentName($0.text("segment")), rows: try $0.integer("rows"), hint: $0.optional("hint"))
        }
    }

    /// The newest published run of a date, other than the given one.
    package func publishedRun(
        clientID: String, environment: String, businessDate: BusinessDate, except runID: RunID
    ) async throws -> RunID? {
        try await connection.query(
            """
            SELECT run_id FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND business_date = $3::date AND run_id <> $4
              AND published_at IS NOT NULL AND is_complete_set
            ORDER BY published_at DESC LIMIT 1
            """, [clientID, environment, businessDate.description, runID.description],
            action: "read the last published run"
        ).firstValue.map { try RunID($0) }
    }

    /// The newest business date with a published run of all systems.
    package func newestPublishedDate(clientID: String, environment: String) async throws -> BusinessDate? {
        try await connection.query(
            """
            SELECT max(business_date)::text FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND published_at IS NOT NULL AND is_complete_set
            """, [clientID, environment], action: "read the newest published date"
        ).firstValue.map { try BusinessDate($0) }
    }

    /// The runs that have ended, oldest first.
    package func endedRuns(clientID: String, environment: String) async throws -> [RunRecord] {
        try await connection.query(
            """
            SELECT \(RunRecord.columns) FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND state IN ('closed', 'failed', 'cancelled') ORDER BY started_at, run_id
            """, [clientID, environment], action: "read the ended runs"
        ).records.map { try RunRecord($0) }
    }

    /// Removes all rows of an ended run, and the texts of scripts that no other run used.
    package func remove(_ runID: RunID) async throws {
        try await connection.query(
            "SELECT bda.remove_run($1)", [runID.description], within: .seconds(300),
            action: "remove run \(runID) from the ledger")
    }

    /// Throws `OwnershipLost` if another coordinator has taken the run over, and `RunCancelled` if it was cancelled.
    package func assertOwner(_ run: RunRecord) async throws {
        try await connection.owned(
            "SELECT bda.assert_owner($1, $2::bigint)", by: run, action: "check the owner of the run")
    }

    /// A statement for a transaction of another session that raises BDA02 if another coordinator owns the run, and
    /// BDA03 if it was cancelled: see `RunRecord.ownershipError`.
    package static func ownerAssertion(_ run: RunRecord) -> String {
        "SELECT bda.assert_owner(\(SQL.literal(run.runID.description)), \(run.ownerNumber))"
    }

    /// Changes the run's row. Throws `OwnershipLost` or `RunCancelled` for a former owner.
    private func change(_ run: RunRecord, set columns: String, _ values: [String?], action: String) async throws {
        let changed = try await connection.query(
            "UPDATE bda.run SET \(columns) WHERE run_id = $1 AND owner_number = $2::bigint",
            [run.runID.description, "\(run.ownerNumber)"] + values, action: action)
        guard changed.affectedRows == 0 else { return }
        try await assertOwner(run)
        throw OwnershipLost()
    }

    /// The script of a segment as the run recorded it.
    package func script(of segment: SegmentName, in runID: RunID) async throws -> RunScript? {
        let record = try await connection.query(
            """
            SELECT \(RunScript.columns) FROM bda.run_script AS s JOIN bda.script AS t ON t.digest = s.digest
            WHERE s.run_id = $1 AND s.segment = $2
            """, [runID.description, segment.description], action: "read a script"
        ).records.first
        return try record.map { try RunScript($0) }
    }
}

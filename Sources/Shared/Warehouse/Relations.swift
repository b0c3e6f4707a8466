import Foundation
package import JobModel
package import Ledger
package import Postgres
package import Scripts

/// The relations that one script reads, according to the server: its statements become the body of a function whose
/// query trees the server keeps, and the catalogue names the relations and functions in them. The plan is compared with
/// that.
package struct Relations: Sendable {
    /// Tables and views outside of the run that LOCK TABLE accepts, quoted by the server. It also locks the tables of a
    /// view, partitions, and tables that inherit.
    package var tables: [String] = []
    /// The estimated total number of rows of the tables, by the server's statistics; for a table without statistics, by
    /// its size.
    package var estimatedRows = 0.0
    /// One sentence for each reason to refuse the script.
    package var refusals: [String] = []
    /// One sentence for each property that the server cannot confirm.
    package var warnings: [String] = []

    /// Reads the relations of the scripts, with the tables of a trial run. All of it is rolled back.
    ///
    /// - Parameters:
    ///   - run: a run that no ledger holds, with one partition.
    ///   - tables: all tables of the scripts.
    package static func read(
        by scripts: [SegmentScript], of run: RunRecord, making tables: [TableScript], in session: PostgresSession
    ) async throws -> [SegmentName: Relations] {
        try await session.execute(
            "BEGIN; SET LOCAL lock_timeout = \(Int(Snapshot.lockWait / .milliseconds(1)))",
            action: "begin to examine the scripts")
        do {
            let written = Set(scripts.flatMap(\.segment.writes))
            try await RunSchema(run).createForTrial(
                tables.filter { !$0.isPermanent || written.contains($0.name) }, in: session)
            var found: [SegmentName: Relations] = [:]
            var planned: [SegmentName: Set<PlannedRelation>] = [:]
            try await session.execute("SAVEPOINT script", action: "begin to examine a script")
            for (index, script) in scripts.enumerated() {
                var relations = Relations()
                do {
                    planned[script.segment.name] = try await plan(script, index, of: run, in: session)
                } catch let error as PostgresError where error.sqlState != nil && !error.isRetryable {
                    relations.refusals = ["\(error)" + (error.hint.map { " (\($0))" } ?? "")]
                    try await session.execute("ROLLBACK TO script", action: "continue with the next script")
                }
                found[script.segment.name] = relations
            }
            let rows = try await session.query(
                catalogueQuery, [run.runID.schemaName], action: "read the relations of the scripts"
            ).records
            try await session.execute("ROLLBACK", action: "end the examination of the scripts")
            let byScript = Dictionary(grouping: rows) { $0.optional("script") ?? "" }
            for (index, script) in scripts.enumerated() {
                let name = script.segment.name
                let reached = try (byScript[functionName(index)] ?? []).map { try Reached($0) }
                found[name]?.add(reached, planned: planned[name] ?? [], by: script, schema: run.runID.schemaName)
            }
            return found
        } catch {
            // The error of the work is the one to report; the owner closes a session that cannot roll back.
            _ = try? await session.execute("ROLLBACK", action: "end the examination of the scripts")
            throw error
        }
    }

    /// Throws all refusals at once.
    package static func refuse(_ relations: [SegmentName: Relations]) throws(ScriptSet.Problems) {
        let sentences = relations.values.flatMap(\.refusals).sorted()
        if !sentences.isEmpty { throw ScriptSet.Problems(sentences: sentences) }
    }

    private static func functionName(_ index: Int) -> String { "script_\(index)" }

    /// Creates a function of the script and plans its statements. Returns the relations in the plans.
    private static func plan(
        _ script: SegmentScript, _ index: Int, of run: RunRecord, in session: PostgresSession
    ) async throws -> Set<PlannedRelation> {
        var parameters = run.parameters
        if script.segment.split == .bucket { parameters.partition = 0 }
        let statements = try script.text.statements(with: parameters)
        let name = "\(SQL.identifier(run.runID.schemaName)).\(functionName(index))"
        let body = statements.map { "\($0)\n;\n" }.joined()
        var found: Set<PlannedRelation> = []
        try await session.execute(
            """
            RELEASE script; SAVEPOINT script;
            CREATE FUNCTION \(name)() RETURNS void LANGUAGE sql BEGIN ATOMIC \(body) END
            """, within: Snapshot.lockWait + PostgresSession.statementLimit, action: "examine \(script.text.file)")
        for statement in statements {
            let plan = try await session.execute(
                "EXPLAIN (VERBOSE, FORMAT JSON) \(statement)",
                within: Snapshot.lockWait + PostgresSession.statementLimit, action: "plan \(script.text.file)"
            ).firstValue
            let roots = try JSONDecoder().decode([PlanRoot].self, from: Data((plan ?? "[]").utf8))
            for root in roots { root.plan.collect(&found) }
        }
        return found
    }
}

/// A relation in a plan.
private struct PlannedRelation: Hashable {
    let schema: String
    let name: String
}

private struct PlanRoot: Decodable {
    let plan: PlanNode

    enum CodingKeys: String, CodingKey { case plan = "Plan" }
}

private struct PlanNode: Decodable {
    let schema: String?
    let relation: String?
    let plans: [PlanNode]?

    enum CodingKeys: String, CodingKey {
        case schema = "Schema"
        case relation = "Relation Name"
        case plans = "Plans"
    }

    func collect(_ found: inout Set<PlannedRelation>) {
        if let schema, let relation { found.insert(PlannedRelation(schema: schema, name: relation)) }
        for plan in plans ?? [] { plan.collect(&found) }
    }
}

/// One row of `Relations.catalogueQuery`.
private struct Reached {
    enum What: String {
        case locked, read, unlockable, volatile, stable, hidden, trusted, value
    }

    let what: What
    let name: String
    let detail: String
    let number: Double
    let schema: String
    let relation: String

    init(_ record: PostgresRecord) throws {
        let text = try record.text("what")
        guard let what = What(rawValue: text) else {
            throw PostgresError(sqlState: nil, message: "unknown kind '\(text)'", action: "read the catalogue")
        }
        self.what = what
        name = try record.text("name")
        detail = try record.text("detail")
        number = Double(try record.text("number")) ?? 0
        schema = try record.text("schema")
        relation = try record.text("relation")
    }
}

extension Relations {
    /// Schemas whose relations are not locked: the catalogues, the ledger, and the views that a run replaces.
    private static let ownSchemas: Set<String> = [
        "pg_catalog", "information_schema", "pg_toast", "bda", "report_oibl",
    ]

    fileprivate mutating func add(
        _ reached: [Reached], planned: Set<PlannedRelation>, by script: SegmentScript, schema: String
    ) {
        let file = script.text.file
        var known: Set<PlannedRelation> = []
        for item in reached {
            let place = item.detail.isEmpty ? "" : " in \(item.detail)"
            switch item.what {
            case .locked, .read:
                known.insert(PlannedRelation(schema: item.schema, name: item.relation))
                estimatedRows += item.number
                if item.what == .locked { tables.append(item.name) }
            case .unlockable:
                known.insert(PlannedRelation(schema: item.schema, name: item.relation))
                refusals.append(
                    "\(file): it reads the \(item.detail) \(item.name), which no snapshot holds and LOCK TABLE does not take; read the tables behind it, or a table that a load fills from it"
                )
            case .volatile:
                refusals.append("\(file): \(item.name)\(place) is VOLATILE; \(Self.instead)")
            case .stable:
                guard Self.isRefused(item, by: script.segment.kind) else { continue }
                refusals.append("\(file): \(item.name)\(place) depends on the time or the session; \(Self.instead)")
            case .value:
                guard let name = Self.valueName(Int(item.name) ?? -1, in: script.segment.kind) else { continue }
                refusals.append("\(file): \(name)\(place) depends on the time or the session; \(Self.instead)")
            case .hidden:
                refusals.append(
                    "\(file): the tables that the function \(item.name)\(place) reads are hidden in the text of its body, so they cannot be locked; write the body as BEGIN ATOMIC … END, or declare the function IMMUTABLE if it reads none"
                )
            case .trusted:
                warnings.append(
                    "\(file): the function \(item.name)\(place) is IMMUTABLE and in \(item.schema), so it is assumed to read no table, and none would be locked"
                )
            }
        }
        for relation in planned.subtracting(known)
        where relation.schema != schema && !Self.ownSchemas.contains(relation.schema) {
            refusals.append(
                "\(file): its plan reads \(SQL.identifier(relation.schema)).\(SQL.identifier(relation.name)), which a function or a rule hides; name the table in the script or in a view"
            )
        }
        if script.segment.reads == .run, !tables.isEmpty {
            warnings.append(
                "\(file): '@reads run', but it reads \(tables.sorted().joined(separator: ", ")), outside of the run's snapshot"
            )
        }
    }

    private static let instead =
        "the result would depend on when it is computed: use :'business_date' or :'cutoff'"

    // MARK: What depends on the time or the session

    /// STABLE functions of pg_catalog that read the clock or the transaction's number, or run a query of their own.
    private static let clockFunctions: Set<String> = [
        "now", "transaction_timestamp", "statement_timestamp", "pg_postmaster_start_time", "pg_conf_load_time",
        "pg_current_snapshot", "txid_current_snapshot", "pg_current_xact_id_if_assigned", "txid_current_if_assigned",
        "pg_xact_status", "txid_status", "table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
        "schema_to_xml", "schema_to_xmlschema", "schema_to_xml_and_xmlschema", "database_to_xml",
        "database_to_xmlschema", "database_to_xml_and_xmlschema", "cursor_to_xml", "cursor_to_xmlschema",
    ]

    /// STABLE functions of pg_catalog that read the session. A precheck may use them, because it checks rights.
    private static let sessionFunctions: Set<String> = [
        "current_setting", "current_user", "session_user", "current_database", "current_schema", "current_schemas",
        "current_query", "version", "pg_backend_pid", "pg_my_temp_schema", "pg_is_other_temp_schema",
        "inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port", "row_security_active",
        "pg_has_role", "has_any_column_privilege", "has_column_privilege", "has_database_privilege",
        "has_foreign_data_wrapper_privilege", "has_function_privilege", "has_language_privilege",
        "has_parameter_privilege", "has_schema_privilege", "has_sequence_privilege", "has_server_privilege",
        "has_table_privilege", "has_tablespace_privilege", "has_type_privilege",
    ]

    private static func isRefused(_ function: Reached, by kind: SegmentKind) -> Bool {
        // age(timestamp) counts from today; age of two arguments does not.
        clockFunctions.contains(function.relation) || (function.relation == "age" && function.number == 1)
            || (kind != .precheck && sessionFunctions.contains(function.relation))
    }

    /// SQLValueFunctionOp of PostgreSQL's primnodes.h: CURRENT_DATE to LOCALTIMESTAMP, then CURRENT_ROLE to CURRENT_SCHEMA.
    private static func valueName(_ operation: Int, in kind: SegmentKind) -> String? {
        switch operation {
        case 0: "CURRENT_DATE"
        case 1, 2: "CURRENT_TIME"
        case 3, 4: "CURRENT_TIMESTAMP"
        case 5, 6: "LOCALTIME"
        case 7, 8: "LOCALTIMESTAMP"
        case 9...14 where kind == .precheck: nil
        case 9: "CURRENT_ROLE"
        case 10, 11: "CURRENT_USER"
        case 12: "SESSION_USER"
        case 13: "CURRENT_CATALOG"
        case 14: "CURRENT_SCHEMA"
        default: "an unknown SQLValueFunction (\(operation))"
        }
    }
}

package import Scripts
package import Ledger
package import JobModel
package import Postgres

/// The tables of one run, in a schema of the run's own, and the views on the newest published run's tables.
package struct RunSchema: Sendable {
    private let run: RunRecord

    package init(_ run: RunRecord) { self.run = run }

    /// Creates the schema, its tables and, for tables partitioned by partition_no, a partition for each bucket. After a
    /// crash it creates the missing ones.
    package func create(_ tables: [TableScript], in session: PostgresSession) async throws {
        let schema = run.runID.schemaName
        try await session.execute(
            "CREATE SCHEMA IF NOT EXISTS \(SQL.identifier(schema))", action: "create the run's schema")
        let existing = Set(
            try await session.query(
                "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = $1", [schema],
                action: "list the run's tables"
            ).rows.map { $0[0] ?? "" })
        for table in tables where !existing.contains(table.name) {
            try await session.execute(
                "BEGIN;\n" + statements(for: table).joined(separator: ";\n") + ";\nCOMMIT",
                action: "create the table '\(table.name)'")
        }
    }

    /// Creates the schema, its tables and missing permanent tables in the session's open transaction, to be rolled back.
    package func createForTrial(_ tables: [TableScript], in session: PostgresSession) async throws {
        try await session.execute(
            "CREATE SCHEMA \(SQL.identifier(run.runID.schemaName))", action: "create a schema for the trial")
        let statements = try tables.flatMap {
            $0.isPermanent ? try $0.text.statements(with: ScriptParameters.none) : try self.statements(for: $0)
        }
        if statements.isEmpty { return }
        try await session.execute(statements.joined(separator: ";\n"), action: "create the tables for the trial")
    }

    private func statements(for table: TableScript) throws -> [String] {
        let schema = SQL.identifier(run.runID.schemaName)
        let name = "\(schema).\(SQL.identifier(table.name))"
        return try table.text.statements(with: run.parameters) + [
            """
            DO $make$ BEGIN
                IF (SELECT relkind FROM pg_catalog.pg_class WHERE oid = \(SQL.literal(name))::pg_catalog.regclass) = 'p' THEN
                    FOR bucket IN 0 .. \(run.partitionCount - 1) LOOP
                        EXECUTE pg_catalog.format('CREATE TABLE \(schema).%I PARTITION OF \(name) FOR VALUES IN (%s)',
                            \(SQL.literal(table.name + "_p")) || pg_catalog.lpad(bucket::text, 4, '0'), bucket);
                    END LOOP;
                END IF;
            END $make$
            """
        ]
    }

    package static func createPermanent(_ tables: [TableScript], in session: PostgresSession) async throws {
        for table in tables where table.isPermanent {
            let text = try table.text.statements(with: ScriptParameters.none).joined(separator: ";\n")
            try await session.execute("BEGIN;\n\(text);\nCOMMIT", action: "create the table '\(table.name)'")
        }
    }

    /// Throws if the schema, or a table in the place of a view or permanent table, belongs to another role, so that
    /// this is found at the start and not at the publication.
    ///
    /// - Parameter schemas: the schemas in which the role must be able to create objects, if they exist.
    package static func checkReports(
        _ tables: [TableScript], schemas: [String], in session: PostgresSession
    ) async throws {
        let views = tables.compactMap(\.view).map { "report_oibl.\($0)" }
        let permanent = tables.filter(\.isPermanent).map(\.name)
        let found = try await session.query(
            """
            SELECT 'the schema ' || n.nspname, pg_catalog.pg_get_userbyid(n.nspowner),
                   pg_catalog.format('ALTER SCHEMA %I OWNER TO %I', n.nspname, current_user)
            FROM pg_catalog.pg_namespace AS n
            WHERE n.nspname = ANY ($3::text[])
              AND NOT (pg_catalog.has_schema_privilege(n.oid, 'CREATE') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))
            UNION ALL
            SELECT n.nspname || '.' || c.relname || CASE WHEN c.relkind <> wanted.kind THEN ', which is no ' || wanted.name ELSE '' END,
                   pg_catalog.pg_get_userbyid(c.relowner),
                   pg_catalog.format('move it to another schema: ALTER %s %s SET SCHEMA ...',
                                     CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                                     c.oid::pg_catalog.regclass)
            FROM (SELECT unnest($1::text[]) AS path, 'v' AS kind, 'view' AS name
                  UNION ALL SELECT unnest($2::text[]), 'r', 'table') AS wanted
            JOIN pg_catalog.pg_class AS c ON c.relname = pg_catalog.split_part(wanted.path, '.', 2)
            JOIN pg_catalog.pg_namespace AS n
              ON n.oid = c.relnamespace AND n.nspname = pg_catalog.split_part(wanted.path, '.', 1)
            WHERE c.relkind <> wanted.kind OR NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
            """, [SQL.array(views), SQL.array(permanent), SQL.array(schemas)],
            action: "read the owners of existing objects")
        guard !found.rows.isEmpty else { return }
        let problems = found.rows.map { "\($0[0] ?? "") belongs to \($0[1] ?? "")" }
        throw PostgresError(
            sqlState: "42501", message: problems.joined(separator: "; "),
            hint: "a superuser can run: \(Set(found.rows.compactMap { $0[2] }).sorted().joined(separator: "; "))",
            action: "use the existing objects")
    }

    /// Replaces the views on this run's tables in the session's open transaction, unless they show a newer date.
    package func publishViews(_ tables: [TableScript], in session: PostgresSession) async throws {
        // Two dates that are published at the same time are serialized, so that the newer one remains.
        try await session.execute(
            "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bda: views of report_oibl', 0))",
            action: "wait for the lock to replace the views")
        if try await isNewerDateShown(in: session) { return }
        for table in tables {
            guard let view = table.view else { continue }
            let target = "report_oibl.\(SQL.identifier(view))"
            let select = "SELECT * FROM \(SQL.identifier(run.runID.schemaName)).\(SQL.identifier(table.name))"
            do {
                try await session.execute(
                    "SAVEPOINT replace; CREATE OR REPLACE VIEW \(target) AS \(select); RELEASE replace",
                    action: "replace the view report_oibl.\(view)")
            } catch let error as PostgresError where error.sqlState == "42P16" {
                // The columns have changed, so the view is created again. If another view depends on it, the error
                // names that view.
                try await session.execute(
                    "ROLLBACK TO replace; DROP VIEW \(target); CREATE VIEW \(target) AS \(select)",
                    action: "create the view report_oibl.\(view) again")
            }
        }
    }

    private func isNewerDateShown(in session: PostgresSession) async throws -> Bool {
        let newer = try await session.query(
            """
            SELECT run_id FROM bda.run
            WHERE client_id = $1 AND environment = $2 AND business_date > $3::date AND manifest_uri IS NOT NULL
            """, [run.clientID, run.environment, run.businessDate.description], action: "read newer published dates"
        ).rows.compactMap { $0[0] }
        for runID in newer where try await Self.isShown(try RunID(runID), in: session) { return true }
        return false
    }

    /// The schemas of runs that exist in the database.
    package static func existing(in session: PostgresSession) async throws -> [RunID] {
        try await session.execute(
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname LIKE 'bda\\_run\\_%' ORDER BY nspname",
            action: "list the runs' schemas"
        ).rows.compactMap { try? RunID(String(($0[0] ?? "").dropFirst("bda_run_".count))) }
    }

    /// The sessions that hold a lock on a relation of a schema, as sentences: they block its replacement or removal.
    package static func readers(
        of relations: [String]? = nil, schema: String, in session: PostgresSession
    ) async throws -> [String] {
        try await session.query(
            """
            SELECT DISTINCT pg_catalog.format('session %s of %s (%s), in a transaction since %s', a.pid, a.usename,
                       COALESCE(NULLIF(a.application_name, ''), 'no application name'),
                       pg_catalog.to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
            FROM pg_catalog.pg_locks AS l
            JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1
            JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
            WHERE l.granted AND l.locktype = 'relation'
              AND ($2::text[] IS NULL OR c.relname = ANY ($2::text[]))
              AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
              AND a.pid <> pg_catalog.pg_backend_pid()
            ORDER BY 1
            """, [schema, relations.map { SQL.array($0) }], action: "read the sessions that use the schema \(schema)"
        ).rows.compactMap { $0[0] }
    }

    /// Whether a view outside of the run's schema depends on one of its tables.
    package static func isShown(_ runID: RunID, in session: PostgresSession) async throws -> Bool {
        try await session.query(
            """
            SELECT EXISTS (
                SELECT FROM pg_catalog.pg_depend AS d
                JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid
                JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                WHERE n.nspname = $1)
            """, [runID.schemaName], action: "read the views on the run's tables"
        ).firstValue == "t"
    }

    /// Drops a run's schema, table by table and without CASCADE, so that a view that still shows it prevents the drop.
    /// The wait for a reader's lock is short (SQLSTATE 55P03), because new readers queue behind it.
    package static func drop(_ runID: RunID, in session: PostgresSession) async throws {
        try await session.execute("SET lock_timeout = '1s'", action: "limit the wait for locks")
        let schema = SQL.identifier(runID.schemaName)
        let tables = try await session.query(
            """
            SELECT c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
            """, [runID.schemaName], action: "list the run's tables"
        ).rows.map { $0[0] ?? "" }
        for table in tables {
            try await session.execute(
                "DROP TABLE \(schema).\(SQL.identifier(table))", action: "drop the table '\(table)' of run \(runID)")
        }
        try await session.execute("DROP SCHEMA \(schema)", action: "drop the schema of run \(runID)")
    }
}

extension ScriptParameters {
    static var none: ScriptParameters {
        var generator = SystemRandomNumberGenerator()
        return ScriptParameters(
            runID: RunID(millisecondsSince1970: 0, using: &generator), clientID: "", environment: "",
            businessDate: BusinessDate(daysSince1970: 0), cutoff: "", partitionCount: 1, startedAt: "")
    }
}

import Foundation
import Postgres
import ServiceLifecycle
import Settings
import Testing
import TestSupport

extension WholeSystem {
    /// What the role of `deploy/postgres/role.sql` may do, and that it is enough.
    @Suite struct LeastPrivilegeTests {
        /// Statements that the server must refuse to the role, each for want of a right.
        private static let forbidden = [
            // The vaults are read only.
            "INSERT INTO datalake_vault.hub_charge SELECT * FROM datalake_vault.hub_charge LIMIT 0",
            "UPDATE datalake_vault.sat_charge SET load_dts = load_dts", "DELETE FROM bookkeeper_vault.hub_document",
            "TRUNCATE dunning_vault.hub_dunning_case", "DROP TABLE datalake_vault.hub_charge",
            "ALTER TABLE datalake_vault.hub_charge ADD COLUMN x integer", "CREATE TABLE datalake_vault.x (x integer)",
            "CREATE INDEX ON datalake_vault.hub_charge (load_dts)",
            "BEGIN; LOCK TABLE datalake_vault.hub_charge IN EXCLUSIVE MODE",
            "DROP SCHEMA datalake_vault CASCADE",
            // What is none of its business.
            "SELECT * FROM hr.salary", "CREATE TABLE hr.x (x integer)", "CREATE TABLE public.x (x integer)",
            "SELECT rolpassword FROM pg_catalog.pg_authid", "SELECT * FROM pg_catalog.pg_shadow",
            "SELECT * FROM pg_catalog.pg_user_mapping", "SELECT * FROM pg_catalog.pg_hba_file_rules",
            // More rights, roles and databases.
            "CREATE ROLE bda_test_intruder", "CREATE DATABASE bda_test_intruder",
            "ALTER ROLE billing_aggregator SUPERUSER",
            "ALTER ROLE postgres PASSWORD 'x'", "GRANT postgres TO billing_aggregator", "SET ROLE postgres",
            "GRANT pg_read_all_data TO billing_aggregator", "SET SESSION AUTHORIZATION postgres",
            // The server's files and programs.
            "SELECT pg_catalog.pg_read_file('/etc/passwd')", "SELECT pg_catalog.pg_ls_dir('/')",
            "SELECT pg_catalog.lo_import('/etc/passwd')", "COPY (SELECT 1) TO '/tmp/bda_test_intruder'",
            "COPY (SELECT 1) TO PROGRAM 'true'", "LOAD 'auto_explain'",
            "CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE c AS 'x', 'f'",
            // The server's settings and backups.
            "ALTER SYSTEM SET log_statement = 'none'", "SET log_statement = 'none'",
            "SELECT pg_catalog.pg_reload_conf()",
            "SELECT pg_catalog.pg_switch_wal()", "CHECKPOINT",
        ]

        @Test("the role can read the vaults, and what it does not need is refused")
        func refusals() async throws {
            try await Fleet.with { fleet in
                try await fleet.session.execute(
                    "CREATE SCHEMA hr; CREATE TABLE hr.salary (name text, amount numeric)",
                    action: "make another's schema")
                let role = try await PostgresSession.connect(fleet.role, purpose: "intruder")
                for vault in [
                    "datalake_vault.hub_charge", "bookkeeper_vault.hub_document", "dunning_vault.hub_dunning_case",
                ] {
                    let rows = try await role.execute("SELECT count(*) > 0 FROM \(vault)", action: "read a vault")
                    #expect(rows.firstValue == "t")
                }
                for statement in Self.forbidden {
                    let error = await #expect(throws: PostgresError.self, "\(statement) was allowed") {
                        try await role.execute(statement, action: "do what is forbidden")
                    }
                    #expect(error?.sqlState == "42501", "\(statement): \(error.map { "\($0)" } ?? "")")
                    if statement.hasPrefix("BEGIN") { try await role.execute("ROLLBACK", action: "go on") }
                }
                let attributes = try await role.execute(
                    """
                    SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
                        OR EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m WHERE m.member = r.oid)
                    FROM pg_catalog.pg_roles AS r WHERE rolname = current_user
                    """, action: "look at the role")
                #expect(attributes.firstValue == "f")
                await role.close()
            }
        }

        @Test("the role can end its own sessions and nobody else's")
        func sessions() async throws {
            try await Fleet.with(sample: false) { fleet in
                // A superuser's, and another ordinary role's.
                var other = fleet.role
                other.user = "bda_test_other"
                other.password = Secret("only for this test")
                try await fleet.session.execute(
                    "CREATE ROLE bda_test_other LOGIN PASSWORD \(SQL.literal(try other.password?.reveal() ?? ""))",
                    action: "make another role")
                let result: Result<Void, any Error>
                do { result = .success(try await endSessions(fleet, other)) } catch { result = .failure(error) }
                try await fleet.session.execute("DROP ROLE bda_test_other", action: "drop the other role")
                try result.get()
            }
        }

        private func endSessions(_ fleet: Fleet, _ configuration: PostgresConfiguration) async throws {
            let other = try await PostgresSession.connect(configuration, purpose: "other")
            let role = try await PostgresSession.connect(fleet.role, purpose: "intruder")
            for victim in [fleet.session, other] {
                let backend = try await victim.backend()
                for function in ["pg_terminate_backend", "pg_cancel_backend"] {
                    let error = await #expect(throws: PostgresError.self) {
                        try await role.execute(
                            "SELECT pg_catalog.\(function)(\(backend.pid))", action: "end a session of another's")
                    }
                    #expect(error?.sqlState == "42501")
                }
                // The ledger's own function has the caller's rights, and does not even see when the session began.
                _ = try? await role.query(
                    "SELECT bda.end_backend($1::int, $2::timestamptz, 1000)", ["\(backend.pid)", backend.start],
                    action: "end a session of another's")
                _ = try await victim.execute("SELECT 1", action: "live on")
            }
            let own = try await PostgresSession.connect(fleet.role, purpose: "own")
            let backend = try await own.backend()
            let ended = try await role.query(
                "SELECT bda.end_backend($1::int, $2::timestamptz, 5000)", ["\(backend.pid)", backend.start],
                action: "end a session of its own")
            #expect(ended.firstValue == "t")
            for session in [own, role, other] { await session.close() }
        }

        @Test("a run as the role completes, changes no vault, and everything that it made is the role's")
        func completeRun() async throws {
            try await Fleet.with { fleet in
                let before = try await Self.vaults(fleet)
                #expect(before.count > 10)
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await run.succeeds()
                try await fleet.drain(worker)
                #expect(try await Self.vaults(fleet) == before)
                let owners = try await fleet.session.execute(
                    """
                    SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class AS c
                    JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE n.nspname LIKE 'bda%' OR n.nspname = 'report_oibl'
                    """, action: "look at the owners"
                ).rows
                #expect(owners == [["billing_aggregator"]])
                let schemas = try await fleet.session.execute(
                    """
                    SELECT nspname FROM pg_namespace WHERE nspowner = 'billing_aggregator'::regrole
                    AND nspname NOT LIKE 'bda\\_run\\_%' AND nspname NOT LIKE 'pg\\_%' ORDER BY 1
                    """, action: "look at the schemas"
                ).rows
                #expect(schemas == [["bda"], ["bda_extensions"], ["report_oibl"]])
            }
        }

        /// Each vault table with its owner, its rights, and its rows as far as a hash can tell them apart.
        private static func vaults(_ fleet: Fleet) async throws -> [[String?]] {
            var tables = try await fleet.session.execute(
                """
                SELECT format('%I.%I', n.nspname, c.relname), c.relowner::regrole::text, c.relacl::text FROM pg_class AS c
                JOIN pg_namespace AS n ON n.oid = c.relnamespace
                WHERE n.nspname LIKE '%\\_vault' AND c.relkind IN ('r', 'p') ORDER BY 1
                """, action: "list the vaults"
            ).rows
            for index in tables.indices {
                let table = try #require(tables[index][0])
                tables[index].append(
                    try await fleet.session.execute(
                        "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM \(table) AS t",
                        action: "read a vault"
                    ).firstValue)
            }
            return tables
        }

        @Test("what stands in the way of the reports is named at the start, with what to do about it")
        func othersReports() async throws {
            try await Fleet.with(sample: false, isSetUp: false) { fleet in
                let kafka = ["BDA_KAFKA_BOOTSTRAP_SERVERS": ""]
                try await fleet.session.execute("CREATE SCHEMA report_oibl", action: "make the schema as another")
                let refused = try fleet.coordinator(["setup"], settings: kafka)
                #expect(try await refused.ended() == .exit(2), refused.report)
                for word in ["report_oibl belongs to postgres", "ALTER SCHEMA report_oibl OWNER TO billing_aggregator"]
                {
                    #expect(refused.errorText.contains(word), refused.report)
                }
                // Nothing was made.
                let made = try await fleet.session.execute(
                    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bda%'", action: "look for a ledger"
                ).firstValue
                #expect(made == "0")

                // The hint helps; a predecessor's table with the name of a view is next.
                try await fleet.session.execute(
                    """
                    ALTER SCHEMA report_oibl OWNER TO billing_aggregator;
                    CREATE TABLE report_oibl.oibl_customer (customer_no text)
                    """, action: "do what the hint says")
                for arguments in [["setup"], ["setup", "--dry-run"]] {
                    let program = try fleet.coordinator(arguments, settings: kafka)
                    #expect(try await program.ended() == .exit(2), program.report)
                    for word in [
                        "report_oibl.oibl_customer, which is no view", "ALTER TABLE report_oibl.oibl_customer",
                    ] {
                        #expect(program.errorText.contains(word), program.report)
                    }
                }
                try await fleet.session.execute(
                    "CREATE SCHEMA old_reports; ALTER TABLE report_oibl.oibl_customer SET SCHEMA old_reports",
                    action: "do what the hint says")
                try await fleet.coordinator(["setup"], settings: ["BDA_KAFKA_BOOTSTRAP_SERVERS": ""]).succeeds()

                // It may come back later: a run says so before it begins.
                try await fleet.session.execute(
                    "ALTER TABLE old_reports.oibl_customer SET SCHEMA report_oibl", action: "put it back")
                let run = try fleet.run()
                #expect(try await run.ended() == .exit(2), run.report)
                #expect(run.errorText.contains("report_oibl.oibl_customer, which is no view"), run.report)
                let runs = try await fleet.session.execute("SELECT count(*) FROM bda.run", action: "count the runs")
                #expect(runs.firstValue == "0")
            }
        }
    }
}

import Foundation
import JobModel
import Ledger
import Postgres
import Scripts
import TestSupport
import Testing
import Warehouse

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(3)))
struct RelationsTests {
    /// What a warehouse may look like beside plain tables.
    private static let warehouse = """
        CREATE SCHEMA odd;
        CREATE TABLE odd."Rows" (a int);
        CREATE TABLE odd.ÄRGER (a int);
        CREATE TABLE odd."a.b" (a int);
        CREATE VIEW odd.below AS SELECT a FROM odd."Rows";
        CREATE VIEW odd.above AS SELECT b.a FROM odd.below AS b JOIN odd."a.b" USING (a);
        CREATE VIEW odd.dated AS SELECT a, now() AS at FROM odd."Rows";
        CREATE TABLE odd.parent (a int);
        CREATE TABLE odd.child () INHERITS (odd.parent);
        CREATE TABLE odd.parted (a int) PARTITION BY LIST (a);
        CREATE TABLE odd.parted_1 PARTITION OF odd.parted FOR VALUES IN (1);
        CREATE TABLE odd.parted_2 PARTITION OF odd.parted FOR VALUES IN (2);
        CREATE MATERIALIZED VIEW odd.summed AS SELECT count(*) AS n FROM odd."Rows";
        CREATE VIEW odd.over_summed AS SELECT n FROM odd.summed;
        CREATE SEQUENCE odd.counter;
        CREATE FUNCTION odd.hidden() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM odd."Rows"';
        CREATE FUNCTION odd.hidden_too() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM odd."Rows"); END';
        CREATE FUNCTION odd.open() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM odd."Rows"; END;
        CREATE FUNCTION odd.trusted(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN n; END';
        CREATE FUNCTION odd.lying() RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'SELECT a FROM odd."Rows"';
        CREATE FUNCTION odd.changing() RETURNS int LANGUAGE sql RETURN 1;
        """

    private static func script(
        _ query: String, reads: String = "vault", kind: SegmentKind = .archive
    ) throws -> SegmentScript {
        var problems: [ScriptProblem] = []
        let header = kind == .archive ? "-- @key a\n-- @split none\n" : "-- @severity error\n-- @hint none\n"
        let text = ScriptText(
            text: "-- @segment odd.x\n-- @reads \(reads)\n\(header)\(query)", file: "archive/x.sql", problems: &problems
        )
        return try #require(SegmentScript(text: text, kind: kind, problems: &problems), "\(problems)")
    }

    private static func relations(of script: SegmentScript, in shipped: ShippedScripts) async throws -> Relations {
        var run = shipped.run
        var generator = SystemRandomNumberGenerator()
        run.runID = RunID(millisecondsSince1970: 1_775_013_300_456, using: &generator)
        let found = try await Relations.read(
            by: [script], of: run, making: shipped.scripts.tables, in: shipped.session)
        return try #require(found[script.segment.name])
    }

    @Test("however a relation is named or reached, it is known by the server's name")
    func names() async throws {
        try await ShippedScripts.with { shipped in
            try await shipped.session.execute(Self.warehouse, action: "make a warehouse")
            // As the server folds `ÄRGER`, which depends on its encoding and locale.
            let anger = try #require(
                try await shipped.session.execute(
                    "SELECT quote_ident(relname) FROM pg_class WHERE relname ~* 'rger'", action: "look"
                ).firstValue)
            for (query, tables) in [
                ("SELECT a FROM odd.\"Rows\"", ["odd.\"Rows\""]), ("SELECT a FROM ODD.ÄRGER", ["odd.\(anger)"]),
                ("SELECT a FROM odd.\"a.b\"", ["odd.\"a.b\""]), ("SELECT a FROM odd . above", ["odd.above"]),
                ("SELECT a FROM odd.parted WHERE a = 1", ["odd.parted"]),
                ("SELECT odd.open() AS a", ["odd.\"Rows\""]),
                ("SELECT 1 AS a WHERE EXISTS (SELECT FROM odd.\"Rows\" LIMIT 0)", ["odd.\"Rows\""]),
                ("SELECT 1 AS a, 'odd.parent' AS b -- odd.parent", []),
            ] {
                let found = try await Self.relations(of: try Self.script(query), in: shipped)
                #expect(found.tables == tables && found.refusals.isEmpty, "\(query): \(found)")
            }
        }
    }

    @Test("a run's locks keep TRUNCATE away from whatever its scripts read")
    func locks() async throws {
        try await ShippedScripts.with { shipped in
            try await shipped.session.execute(Self.warehouse, action: "make a warehouse")
            let query = """
                SELECT a FROM odd.above UNION ALL SELECT a FROM odd.ÄRGER UNION ALL SELECT a FROM odd.parent
                UNION ALL SELECT a FROM odd.parted WHERE a = 1 UNION ALL SELECT odd.open()
                """
            let found = try await Self.relations(of: try Self.script(query), in: shipped)
            #expect(found.refusals.isEmpty && found.warnings.isEmpty, "\(found)")
            let holder = try await PostgresSession.connect(shipped.role, purpose: "test")
            let snapshot = try await Snapshot.export(on: holder, locking: found.tables)
            try await shipped.session.execute("SET lock_timeout = 50", action: "wait for locks a little")
            for change in [
                "TRUNCATE odd.\"Rows\"", "TRUNCATE odd.ÄRGER", "TRUNCATE odd.\"a.b\"", "TRUNCATE odd.child",
                "TRUNCATE odd.parted_1", "TRUNCATE odd.parted_2", "DROP VIEW odd.above",
                "CREATE OR REPLACE VIEW odd.below AS SELECT 1 AS a",
            ] {
                let error = await #expect(throws: PostgresError.self, "\(change)") {
                    try await shipped.session.execute(change, action: "change the warehouse")
                }
                #expect(error?.sqlState == "55P03", "\(change): \(String(describing: error))")
            }
            await snapshot.release()
        }
    }

    @Test("what cannot be locked, or depends on the time or the session, is refused by name")
    func refusals() async throws {
        try await ShippedScripts.with { shipped in
            try await shipped.session.execute(Self.warehouse, action: "make a warehouse")
            for (query, said) in [
                ("SELECT n AS a FROM odd.summed", "materialized view odd.summed"),
                ("SELECT n AS a FROM odd.over_summed", "materialized view odd.summed"),
                ("SELECT last_value AS a FROM odd.counter", "sequence odd.counter"),
                ("SELECT odd.hidden() AS a", "odd.hidden()"), ("SELECT odd.hidden_too() AS a", "odd.hidden_too()"),
                ("SELECT * FROM odd.lying() AS a", "its plan reads \"odd\".\"Rows\""),
                ("SELECT odd.changing() AS a", "VOLATILE"),
                ("SELECT now() AS a", "now()"), ("SELECT random() AS a", "random()"),
                ("SELECT clock_timestamp() AS a", "clock_timestamp()"), ("SELECT CURRENT_DATE AS a", "CURRENT_DATE"),
                ("SELECT \"now\"() AS a", "now()"), ("SELECT age(TIMESTAMP '2026-01-01') AS a", "age()"),
                ("SELECT LOCALTIMESTAMP(3) AS a", "LOCALTIMESTAMP"), ("SELECT CURRENT_USER AS a", "CURRENT_USER"),
                ("SELECT current_setting('work_mem') AS a", "current_setting()"),
                ("SELECT nextval('odd.counter') AS a", "nextval()"),
                ("SELECT a FROM odd.dated", "now() in the view odd.dated"),
                ("SELECT a FROM odd.\"Rows\" TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
                ("SELECT query_to_xml('TABLE odd.x', true, true, '') AS a", "query_to_xml()"),
                ("SELECT a FROM odd.missing", "odd.missing"), ("SELECT b FROM odd.\"Rows\"", "\"b\""),
            ] {
                let found = try await Self.relations(of: try Self.script(query), in: shipped)
                #expect(found.refusals.contains { $0.contains(said) }, "\(query): \(found)")
                #expect(found.refusals.allSatisfy { $0.contains("archive/x.sql") }, "\(found.refusals)")
                #expect(throws: ScriptSet.Problems.self) { try Relations.refuse([SegmentName("odd.x"): found]) }
            }
        }
    }

    @Test("what is as it should be is not refused; what the server cannot confirm is a warning")
    func warnings() async throws {
        try await ShippedScripts.with { shipped in
            try await shipped.session.execute(Self.warehouse, action: "make a warehouse")
            let dated =
                "SELECT age(:'business_date'::date, DATE '2020-01-01') AS a, to_char(:'cutoff'::timestamptz, 'YYYY')"
            #expect(try await Self.relations(of: try Self.script(dated), in: shipped).refusals == [])
            let rights = try Self.script(
                "SELECT current_user WHERE NOT has_schema_privilege('odd', 'USAGE')", kind: .precheck)
            #expect(try await Self.relations(of: rights, in: shipped).refusals == [])
            let trusted = try await Self.relations(of: try Self.script("SELECT odd.trusted(1) AS a"), in: shipped)
            #expect(trusted.refusals.isEmpty && trusted.warnings.contains { $0.contains("odd.trusted(integer)") })
            let outside = try await Self.relations(
                of: try Self.script("SELECT a FROM odd.\"Rows\"", reads: "run"), in: shipped)
            #expect(outside.warnings.contains { $0.contains("odd.\"Rows\"") && $0.contains("@reads run") })
        }
    }
}

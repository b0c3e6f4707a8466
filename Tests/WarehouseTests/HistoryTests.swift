import Foundation
import JobModel
import Postgres
import TestSupport
import Testing
import Scripts
import Ledger
import Warehouse

/// A history script with the table that it reads and the table that it keeps.
enum HistoryCase: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case balances = "tripica.balances_history"
    case customers = "oibl.customer_history"

    var source: String { self == .balances ? "data_balances" : "oibl_customer" }
    var table: String { self == .balances ? "tripica_balances_history" : "oibl_customer_history" }
    var key: String { self == .balances ? "account_no" : "customer_no" }
    var testDescription: String { rawValue }
}

/// One row of a history.
private struct HistoryRow: Hashable {
    var key: String
    var from: BusinessDate
    var to: BusinessDate?
    var amount: Int

    /// The row from `day` on; nil when it has ended by then.
    func since(_ day: BusinessDate) -> HistoryRow? {
        if let to, to <= day { return nil }
        var row = self
        row.from = max(from, day)
        return row
    }

    /// What the history of some reported dates must be: a plain walk through the dates in order.
    static func expected(_ reported: [BusinessDate: [String: Int]]) -> Set<HistoryRow> {
        let days = reported.keys.sorted()
        var rows: Set<HistoryRow> = []
        for key in Set(reported.values.flatMap(\.keys)) {
            var open: HistoryRow?
            for day in days {
                let amount = reported[day]?[key]
                if let row = open, row.amount != amount {
                    rows.insert(HistoryRow(key: key, from: row.from, to: day, amount: row.amount))
                    open = nil
                }
                if open == nil, let amount { open = HistoryRow(key: key, from: day, to: nil, amount: amount) }
            }
            if let open { rows.insert(open) }
        }
        return rows
    }
}

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(3)))
struct HistoryTests {
    /// The history script of one case, run for dates and contents that a test makes up.
    private struct History {
        let shipped: ShippedScripts
        let history: HistoryCase

        /// Lets rows be inserted by key and amount alone.
        func prepare() async throws {
            try await shipped.session.execute(
                """
                DO $$ DECLARE c record; BEGIN
                    FOR c IN SELECT column_name AS name, data_type AS type FROM information_schema.columns
                             WHERE table_schema = '\(shipped.run.runID.schemaName)' AND table_name = '\(history.source)' LOOP
                        EXECUTE format('ALTER TABLE \(shipped.run.runID.schemaName).\(history.source) ALTER COLUMN %I SET DEFAULT %L',
                            c.name, CASE WHEN c.type IN ('numeric', 'integer') THEN '0'
                                         WHEN c.type = 'date' THEN '2026-01-01' ELSE 'x' END);
                    END LOOP;
                END $$
                """, action: "set defaults")
        }

        func begin(
            _ day: BusinessDate, _ contents: [String: Int], keeping days: Int, on session: PostgresSession
        ) async throws {
            let script = try #require(
                shipped.scripts.segments.first { $0.segment.name.description == history.rawValue })
            var run = shipped.run
            run.businessDate = day
            var parameters = run.parameters
            parameters.historyDays = days
            let source = "\(run.runID.schemaName).\(history.source)"
            _ = try await WorkTransaction.begin(in: session, snapshotID: nil, isolation: .readCommitted)
            try await session.execute("DELETE FROM \(source)", action: "empty the table")
            for (key, amount) in contents {
                try await session.execute(
                    "INSERT INTO \(source) (partition_no, \(history.key), charged) VALUES (0, \(SQL.literal(key)), \(amount))",
                    action: "insert a row")
            }
            for statement in try script.text.statements(with: parameters) {
                try await session.execute(statement, action: "run the history")
            }
        }

        func report(_ day: BusinessDate, _ contents: [String: Int], keeping days: Int = 0) async throws {
            try await begin(day, contents, keeping: days, on: shipped.session)
            try await shipped.session.execute("COMMIT", action: "commit")
        }

        func rows() async throws -> Set<HistoryRow> {
            let rows = try await shipped.session.execute(
                "SELECT \(history.key), valid_from::text, valid_to::text, charged::int FROM report_oibl.\(history.table)",
                action: "read the history"
            ).rows.map {
                HistoryRow(
                    key: $0[0] ?? "", from: try BusinessDate($0[1] ?? ""), to: try $0[2].map { try BusinessDate($0) },
                    amount: Int($0[3] ?? "") ?? 0)
            }
            #expect(Set(rows).count == rows.count)
            return Set(rows)
        }

        func clear() async throws {
            try await shipped.session.execute(
                "TRUNCATE report_oibl.\(history.table), report_oibl.history_dates", action: "empty the history")
        }
    }

    private func with(_ history: HistoryCase, _ body: (History) async throws -> Void) async throws {
        try await ShippedScripts.with { shipped in
            let history = History(shipped: shipped, history: history)
            try await history.prepare()
            try await body(history)
        }
    }

    /// Dates and contents in any order, some dates more than once: amounts of few values, so that neighbours agree often.
    private static func random(
        _ generator: inout SplitMix64
    ) throws -> [(day: BusinessDate, contents: [String: Int])] {
        let start = try BusinessDate("2026-02-25")
        return (0..<9).map { _ in
            var contents: [String: Int] = [:]
            for key in ["A", "B", "C"] where generator.next() % 4 > 0 { contents[key] = Int(generator.next() % 2) }
            return (start.adding(days: Int(generator.next() % 6)), contents)
        }
    }

    @Test(
        "dates in any order, and again, give the history that running them in order gives",
        arguments: HistoryCase.allCases)
    func anyOrder(_ history: HistoryCase) async throws {
        try await with(history) { history in
            var generator = SplitMix64(seed: 6)
            for _ in 0..<12 {
                var reported: [BusinessDate: [String: Int]] = [:]
                for (day, contents) in try Self.random(&generator) {
                    try await history.report(day, contents)
                    reported[day] = contents
                    #expect(try await history.rows() == HistoryRow.expected(reported))
                }
                try await history.clear()
            }
        }
    }

    @Test("what ended long ago is forgotten, and nothing that is kept changes by it", arguments: HistoryCase.allCases)
    func retention(_ history: HistoryCase) async throws {
        try await with(history) { history in
            var generator = SplitMix64(seed: 7)
            var forgotten = 0
            for _ in 0..<12 {
                var reported: [BusinessDate: [String: Int]] = [:]
                for (day, contents) in try Self.random(&generator) {
                    try await history.report(day, contents, keeping: 2)
                    reported[day] = contents
                    let horizon = reported.keys.max()!.adding(days: -2)
                    let (rows, expected) = (try await history.rows(), HistoryRow.expected(reported))
                    #expect(rows.allSatisfy { $0.since(horizon) != nil }, "a row that should be forgotten")
                    #expect(
                        Set(rows.compactMap { $0.since(horizon) }) == Set(expected.compactMap { $0.since(horizon) }))
                    forgotten += expected.count - rows.count
                }
                try await history.clear()
            }
            #expect(forgotten > 0)
        }
    }

    @Test("two dates at once wait for each other", arguments: HistoryCase.allCases)
    func twoDatesAtOnce(_ history: HistoryCase) async throws {
        try await with(history) { history in
            let reported = [
                try BusinessDate("2026-03-01"): ["A": 1, "B": 1], try BusinessDate("2026-03-02"): ["A": 1, "B": 2],
                try BusinessDate("2026-03-03"): ["A": 3, "C": 3],
            ]
            let days = reported.keys.sorted()
            try await history.report(days[0], reported[days[0]]!)
            let session = history.shipped.session
            // Another date is another run, with tables of its own.
            var shipped = history.shipped
            var generator = SystemRandomNumberGenerator()
            shipped.run.runID = RunID(millisecondsSince1970: 1_775_013_300_999, using: &generator)
            let tables = shipped.scripts.tables.filter { !$0.isPermanent }
            try await RunSchema(shipped.run).create(tables, in: session)
            let otherHistory = History(shipped: shipped, history: history.history)
            try await otherHistory.prepare()
            let other = try await PostgresSession.connect(shipped.role, purpose: "test other date")
            let otherPID = try await other.backend().pid

            try await history.begin(days[2], reported[days[2]]!, keeping: 0, on: session)
            async let second: Void = otherHistory.begin(days[1], reported[days[1]]!, keeping: 0, on: other)
            let observer = try await PostgresSession.connect(shipped.role, purpose: "test observer")
            while try await observer.query(
                "SELECT count(*) FROM pg_locks WHERE pid = $1::int AND NOT granted", ["\(otherPID)"],
                action: "look for the lock"
            ).firstValue == "0" { try await Task.sleep(for: .milliseconds(20)) }
            try await session.execute("COMMIT", action: "commit")
            try await second
            try await other.execute("COMMIT", action: "commit")
            #expect(try await history.rows() == HistoryRow.expected(reported))
            await observer.close()
            await other.close()
        }
    }
}

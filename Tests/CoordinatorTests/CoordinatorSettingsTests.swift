import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Settings
import Testing

@testable import Coordinator

@Suite struct CoordinatorSettingsTests {
    private func context(_ changes: [String: String] = [:]) throws -> CommandContext {
        let variables = [
            "BDA_CLIENT_ID": "acme", "BDA_ENVIRONMENT": "dev", "BDA_DB_HOST": "127.0.0.1",
        ].merging(changes) { _, new in new }
        return try CommandContext([], environment: variables)
    }

    private func instant(_ text: String) -> Date { try! Date(text, strategy: .iso8601) }

    /// The cut-off is a local time: the night that summer time begins, the winter, and the night that it ends.
    @Test(arguments: [
        ("2026-03-27", "2026-03-28T04:00:00Z"), ("2026-03-28", "2026-03-29T03:00:00Z"),
        ("2026-10-23", "2026-10-24T03:00:00Z"), ("2026-10-24", "2026-10-25T04:00:00Z"),
    ])
    func cutoffFollowsTheTimeZone(_ pair: (String, String)) throws {
        let settings = try context().settings
        #expect(try settings.cutoff(of: BusinessDate(pair.0)) == instant(pair.1))
    }

    /// 02:30 does not exist on 2026-03-29 in Berlin; the cut-off is then the hour after the gap.
    @Test func aCutoffInTheGapOfSummerTimeIsAfterIt() throws {
        let settings = try context(["BDA_CUTOFF_TIME": "02:30"]).settings
        let cutoff = settings.cutoff(of: try BusinessDate("2026-03-28"))
        #expect((instant("2026-03-29T01:00:00Z")...instant("2026-03-29T01:30:00Z")).contains(cutoff))
    }

    @Test(arguments: [
        ("2026-03-31T21:59:59Z", "2026-03-30"), ("2026-03-31T22:00:00Z", "2026-03-31"),
        ("2026-01-01T00:30:00Z", "2025-12-31"),
    ])
    func yesterdayIsTheTimeZones(_ pair: (String, String)) throws {
        #expect(try context().settings.yesterday(at: instant(pair.0)).description == pair.1)
    }

    @Test func allWrongSettingsAreToldAtOnce() {
        let error = #expect(throws: SettingsError.self) {
            try context([
                "BDA_ENVIRONMENT": "qa", "BDA_PARTITIONS": "0", "BDA_MAX_ROW_SIZE_FILE": "0",
                "BDA_TIME_ZONE": "Mars/Base",
                "BDA_OUTPUT_PREFIX": "a/../b",
            ])
        }
        let text = error.map { "\($0)" } ?? ""
        for name in [
            "BDA_ENVIRONMENT", "BDA_PARTITIONS", "BDA_MAX_ROW_SIZE_FILE", "BDA_TIME_ZONE", "BDA_OUTPUT_PREFIX",
        ] {
            #expect(text.contains(name), "\(text)")
        }
    }

    @Test(arguments: [
        "..", ".", "a/../b", "../a", "/a", "a/", "a//b", "a/%2e%2e/b", "%2e%2e", "a/\u{301}b", "..\u{301}", "a b", "ä",
        "a\nb",
        "a\u{0}b", "a\\b", String(repeating: "k", count: 129),
    ])
    func noSettingLeadsOutOfThePrefix(_ text: String) throws {
        for name in ["BDA_OUTPUT_PREFIX", "BDA_CLIENT_ID"] {
            let error = #expect(throws: SettingsError.self, "\(name)=\(text)") { try context([name: text]) }
            #expect(error?.problems.contains { $0.setting == name } == true)
        }
        #expect(
            try context(["BDA_OUTPUT_PREFIX": "data/billing-v1.2"]).settings.outputPrefix == "data/billing-v1.2")
    }

    @Test func datesThatCannotBeRunAreRefused() throws {
        let context = try self.context()
        for date in ["2999-01-01", "2026-02-30", "tomorrow"] {
            let failure = #expect(throws: RunFailure.self) { try context.businessDate(date) }
            #expect(failure?.exitCode == .usage)
            #expect(failure?.reason.contains("--date") == true)
        }
        let tooEarly = try self.context(["BDA_CUTOFF_TIME": "23:59", "BDA_TIME_ZONE": "UTC"])
        let failure = #expect(throws: RunFailure.self) {
            try tooEarly.checkCutoff(of: tooEarly.settings.yesterday(at: Date(timeIntervalSinceNow: 86_400)))
        }
        #expect(failure?.hint?.contains("BDA_CUTOFF_TIME") == true)
    }

    @Test(arguments: [0, -1, 1025]) func partitionsOutOfRangeAreRefused(_ count: Int) throws {
        let context = try self.context()
        #expect(throws: RunFailure.self) { try context.partitions(count) }
    }
}

@Suite struct TextTableTests {
    @Test func columnsLineUpAndLongTextIsCut() {
        let table = TextTable(
            header: ["name", "rows"], rows: [["ä\nb", "1"], [String(repeating: "x", count: 80), "1000"]], numeric: [1])
        let lines = table.text(indent: 2, maximumWidth: 10).split(separator: "\n")
        #expect(lines == ["  name        rows", "  ä⏎b            1", "  xxxxxxxxx…  1000"])
    }
}

/// A wait that a ring did not end would last for hours.
@Suite(.timeLimit(.minutes(5))) struct BellTests {
    @Test func aRingBeforeTheWaitIsNotLost() async {
        let bell = Bell()
        bell.ring()
        bell.ring()
        await bell.wait(atMost: .seconds(36_000))
    }

    @Test func aRingEndsTheWait() async {
        let bell = Bell()
        async let waiting: Void = bell.wait(atMost: .seconds(36_000))
        bell.ring()
        await waiting
    }

    @Test func withoutARingTheTimeEndsIt() async {
        await Bell().wait(atMost: .milliseconds(10))
    }
}

@Suite struct RunFailureTests {
    @Test func runsStayOpenOnlyForWhatMayPass() {
        let open: [ExitCode] = [.databaseUnavailable, .kafkaUnavailable, .storeUnavailable, .interrupted, .dateHeld]
        for code in ExitCode.allCases {
            #expect(RunFailure(code, "x").leavesRunOpen == open.contains(code))
        }
    }

    @Test func whatIsNotKnownIsABug() {
        struct Odd: Error {}
        #expect(RunFailure(Odd()).exitCode == .bug)
        #expect(RunFailure(CancellationError()).exitCode == .interrupted)
        #expect(RunFailure(OwnershipLost()).exitCode == .dateHeld)
    }
}

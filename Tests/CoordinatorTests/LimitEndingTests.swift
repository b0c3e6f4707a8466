import CommandLineOptions
import Ledger
import ObjectStore
import Postgres
import Testing

@testable import Coordinator
@testable import Kafka

/// How a coordinator ends when it meets a limit: the exit code, whether the run stays open, and a hint.
@Suite struct LimitEndingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var what: String
        var error: any Error
        var exitCode: ExitCode
        var leavesRunOpen = true
        /// A word of the hint.
        var hint: String

        var testDescription: String { what }
    }

    private static func postgres(_ state: String) -> PostgresError {
        PostgresError(sqlState: state, message: "m", action: "a")
    }

    static let rows = [
        Row(
            what: "the database's disk is full", error: postgres("53100"), exitCode: .databaseUnavailable, hint: "disk"),
        Row(
            what: "the database is read-only", error: postgres("25006"), exitCode: .databaseUnavailable,
            hint: "BDA_DB_HOST"),
        Row(what: "the role may not", error: postgres("42501"), exitCode: .usage, hint: "role.sql"),
        Row(
            what: "the ledger is missing",
            error: PostgresError(sqlState: "42P01", message: "relation \"bda.run\" does not exist", action: "a"),
            exitCode: .setupNeeded, leavesRunOpen: false, hint: "setup"),
        Row(what: "another coordinator has the run", error: postgres("BDA02"), exitCode: .dateHeld, hint: "status"),
        Row(what: "the same, said on the way", error: OwnershipLost(), exitCode: .dateHeld, hint: "status"),
        Row(
            what: "no room in the store",
            error: ObjectStoreError(.noSpace, "put", "f", reason: "full", isRetryable: true, hint: "make room"),
            exitCode: .storeUnavailable, hint: "room"),
        Row(
            what: "no broker", error: KafkaError(code: .transport, action: "send"), exitCode: .kafkaUnavailable,
            hint: "BDA_KAFKA_BOOTSTRAP_SERVERS"),
        Row(
            what: "a message that no topic takes", error: KafkaError(code: .messageTooLarge, action: "send"),
            exitCode: .usage, leavesRunOpen: false, hint: "max.message.bytes"),
        Row(what: "a signal", error: CancellationError(), exitCode: .interrupted, hint: "continues"),
    ]

    @Test(arguments: rows)
    func eachLimitHasAnExitCodeAndAHint(_ row: Row) {
        let failure = RunFailure(row.error)
        #expect(failure.exitCode == row.exitCode)
        #expect(failure.leavesRunOpen == row.leavesRunOpen)
        #expect(failure.hint?.contains(row.hint) == true, "\(failure.hint ?? "no hint")")
    }
}

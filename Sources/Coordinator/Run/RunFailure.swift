import Bytes
import CommandLineOptions
import JobModel
import Kafka
import Ledger
import ObjectStore
import Postgres
import Scripts
import Settings

/// Why a command ends without what it was asked for: the exit code, and what people read.
struct RunFailure: Error, CustomStringConvertible, Sendable, Hashable {
    var exitCode: ExitCode
    var reason: String
    var hint: String?
    /// Whether the run stays open for another `run` to go on with.
    var leavesRunOpen: Bool

    var description: String { reason }

    init(_ exitCode: ExitCode, _ reason: String, hint: String? = nil) {
        self.exitCode = exitCode
        self.reason = reason
        self.hint = hint
        leavesRunOpen =
            switch exitCode {
            case .databaseUnavailable, .kafkaUnavailable, .storeUnavailable, .interrupted, .dateHeld: true
            default: false
            }
    }

    /// What the errors of the modules do not know themselves is here.
    init(_ error: any Error) {
        switch error {
        case let error as RunFailure: self = error
        case let error as PostgresError where error.sqlState == "42P01" && error.message.contains("bda."):
            self.init(.setupNeeded, "\(error)", hint: "run 'bda-coordinator setup'")
        case let error as PostgresError where error.sqlState == "BDA02": self.init(OwnershipLost())
        case let error as PostgresError where error.sqlState == "BDA03":
            self.init(.dateHeld, error.message, hint: "start 'run' again if the date is still to be exported")
        case let error as ScriptSet.Problems: self.init(.usage, "\(error)")
        case let error as ScriptProblem: self.init(.usage, "\(error)")
        case let error as InvalidValue: self.init(.usage, "\(error)")
        case is OwnershipLost: self.init(.dateHeld, "\(error)", hint: "see 'bda-coordinator status'")
        case let error as CompressionError: self.init(.usage, "\(error)", hint: "check BDA_COMPRESSION_LEVEL")
        case is CancellationError:
            self.init(.interrupted, "interrupted", hint: "the same command goes on from where it was")
        case let error as KafkaError where error.isMessageTooLarge:
            // Sent again, it is as large: a topic's setting is wrong for this run.
            self.init(error.exitCode, "\(error)", hint: error.hint)
        case let error as any ErrorWithExitCode:
            self.init(error.exitCode, "\(error)", hint: error.hint)
            // A right, a password or a bucket that a server refuses in mid-run is mended by a person, and the run goes on.
            if exitCode == .usage {
                leavesRunOpen = error is PostgresError || error is KafkaError || error is ObjectStoreError
            }
        default: self.init(.bug, "\(error)", hint: "this is a bug; please report it with the log")
        }
    }
}

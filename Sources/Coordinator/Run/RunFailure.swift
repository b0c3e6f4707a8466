import Bytes
import CommandLineOptions
import JobModel
import Kafka
import Ledger
import ObjectStore
import Postgres
import Scripts
import Settings

/// The failure of a command: its exit code, and the reason and the hint for the operator.
struct RunFailure: Error, CustomStringConvertible, Sendable, Hashable {
    var exitCode: ExitCode
    var reason: String
    var hint: String?
    /// Whether the run stays open, so that the next `run` continues it.
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

    /// Converts an error, and adds the exit codes and hints that only the coordinator can give.
    init(_ error: any Error) {
        switch error {
        case let error as RunFailure: self = error
        case let error as PostgresError where error.sqlState == "42P01" && error.message.contains("bda."):
            self.init(.setupNeeded, "\(error)", hint: "run 'bda-coordinator setup'")
        case let error as PostgresError where error.sqlState == "BDA02": self.init(OwnershipLost())
        case let error as PostgresError where error.sqlState == "BDA03":
            self.init(.dateHeld, error.message, hint: "start 'run' again if the date should still be exported")
        case let error as ScriptSet.Problems: self.init(.usage, "\(error)")
        case let error as ScriptProblem: self.init(.usage, "\(error)")
        case let error as InvalidValue: self.init(.usage, "\(error)")
        case is OwnershipLost: self.init(.dateHeld, "\(error)", hint: "see 'bda-coordinator status'")
        case let error as CompressionError: self.init(.usage, "\(error)", hint: "check BDA_COMPRESSION_LEVEL")
        case is CancellationError:
            self.init(.interrupted, "interrupted", hint: "the same command continues the run")
        case let error as KafkaError where error.isMessageTooLarge:
            // A retry would fail as well: the size limit of a topic is too small for this run.
            self.init(error.exitCode, "\(error)", hint: error.hint)
        case let error as any ErrorWithExitCode:
            self.init(error.exitCode, "\(error)", hint: error.hint)
            // An operator can correct a right, a password or a bucket during the run, and the next command continues
            // it.
            if exitCode == .usage {
                leavesRunOpen = error is PostgresError || error is KafkaError || error is ObjectStoreError
            }
        default: self.init(.bug, "\(error)", hint: "this is a bug; please report it with the log")
        }
    }
}

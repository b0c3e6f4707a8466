import JobModel
import Ledger
import ObjectStore
import Postgres
import Scripts
import ServiceLifecycle
import Timing
import Warehouse

/// The reasons for which an attempt is stopped from outside.
enum StopReason: Sendable {
    /// Another attempt holds the claim, or the run has ended.
    case claimLost
    /// The lease ran out because the ledger could not be reached: another attempt may hold the claim.
    case leaseOver
    /// The worker shuts down and its drain limit has passed.
    case shutdown
    /// The time limit `BDA_JOB_TIMEOUT_SECONDS` of the run has passed.
    case timeLimit(seconds: Int)
}

/// The end of an attempt without a result: the outcome and its explanation.
struct AttemptFailure: Sendable {
    var outcome: JobOutcome
    /// SQLSTATE, S3 code or a code of this program: a bounded set, fit for a metric's dimension.
    var code: String
    var message: String
    var hint: String?
}

/// The one table from errors to outcomes:
///
/// | what happened | outcome |
/// | --- | --- |
/// | the claim was lost, the lease could not be renewed in time | lost |
/// | the worker shuts down | interrupted |
/// | serialization failure, lost connection, too few resources, read-only server, throttling, 5xx, full disk | retry |
/// | the store's credentials have expired, the time limit has passed, another session cancelled the statement | retry |
/// | the run's snapshot is lost | rejected, `snapshot_lost` |
/// | syntax, missing table, refused access, an invalid script, any other error | rejected |
enum OutcomeRules {
    static func failure(
        for error: any Error, stopped: StopReason?, attempt: Int, retry: RetryPolicy
    ) -> AttemptFailure {
        let pause = JobOutcome.retry(after: retry.delay(afterAttempt: attempt) / .seconds(1))
        switch stopped {
        case .claimLost:
            return AttemptFailure(outcome: .lost, code: "claim_lost", message: "another attempt holds the claim")
        case .leaseOver:
            return AttemptFailure(
                outcome: .lost, code: "lease_over",
                message: "the lease ran out and could not be renewed: another attempt may hold the claim",
                hint: "check that the database can be reached")
        case .shutdown:
            return AttemptFailure(
                outcome: .interrupted, code: "shutdown", message: "the worker shut down before the job was completed")
        case .timeLimit(let seconds):
            return AttemptFailure(
                outcome: pause, code: "time_limit",
                message: "the job took longer than \(seconds) seconds",
                hint: "raise BDA_JOB_TIMEOUT_SECONDS or BDA_PARTITIONS")
        case nil: break
        }
        func ended(_ isRetryable: Bool, code: String, hint: String?) -> AttemptFailure {
            AttemptFailure(
                outcome: isRetryable ? pause : .rejected, code: code, message: "\(error)",
                hint: hint)
        }
        switch error {
        case let error as PostgresError:
            return ended(
                error.isRetryable, code: error.sqlState ?? "connection_lost", hint: error.hint)
        case let error as ObjectStoreError:
            return ended(
                error.isRetryable || error.isExpiredSession, code: error.s3Code ?? error.kind.rawValue, hint: error.hint
            )
        case is WorkTransaction.SnapshotLost:
            return ended(false, code: "snapshot_lost", hint: "a new run reads a new snapshot")
        case is ControlTotalCounter.NotSummable:
            return ended(false, code: "not_summable", hint: "the columns of @totals must be finite numbers")
        case is ScriptProblem: return ended(false, code: "script", hint: nil)
        default: return ended(false, code: "unexpected", hint: "this is a bug; please report it with the worker's log")
        }
    }
}

/// How a program ends: what its scheduler needs to know. The list is closed.
package enum ExitCode: Int32, Sendable, Hashable, CaseIterable, Error {
    /// The run is done; a worker has drained.
    case completed = 0
    /// Something that the program does not know.
    case bug = 1
    /// An option, a setting or a script is wrong; nothing was started.
    case usage = 2
    /// Ledger or topics are missing or of another version.
    case setupNeeded = 3
    /// A precheck of severity `error` failed.
    case precheckFailed = 10
    /// A job was rejected, or has no attempts left.
    case jobFailed = 11
    /// Control totals or a dataset's columns differ.
    case totalsDiffer = 12
    /// No worker took a job, or the run's time is up.
    case timedOut = 13
    /// The run's snapshot was lost three times.
    case snapshotLost = 14
    /// The database cannot be reached.
    case databaseUnavailable = 20
    /// Kafka cannot be reached.
    case kafkaUnavailable = 21
    /// The object store cannot be reached.
    case storeUnavailable = 22
    /// Another coordinator holds the business date, or the run was cancelled.
    case dateHeld = 30
    /// Stopped by a signal; the next start goes on.
    case interrupted = 31
    /// A worker's jobs were not done within its drain budget and were given back.
    case drainExceeded = 32
    /// `verify` found that files differ from their manifest.
    case differencesFound = 40

    /// What it says, in one line.
    package var meaning: String {
        switch self {
        case .completed: "completed; worker: drained"
        case .bug: "a bug"
        case .usage: "option, setting or script wrong; nothing was started"
        case .setupNeeded: "ledger or topics missing or old: run `bda-coordinator setup`"
        case .precheckFailed: "a precheck failed"
        case .jobFailed: "a job was rejected or is out of attempts"
        case .totalsDiffer: "totals or schema differ"
        case .timedOut: "no worker came, or the run's time is up"
        case .snapshotLost: "snapshot lost three times"
        case .databaseUnavailable: "database unavailable"
        case .kafkaUnavailable: "Kafka unavailable"
        case .storeUnavailable: "object store unavailable"
        case .dateHeld: "the date is held by another coordinator, or the run was cancelled"
        case .interrupted: "interrupted, resumable"
        case .drainExceeded: "worker's drain budget exceeded"
        case .differencesFound: "`verify` found differences"
        }
    }

    /// Whether starting the program again, with nothing changed, may go well; nil for a code that is no failure.
    package var isWorthSchedulingAgain: Bool? {
        switch self {
        case .completed: nil
        case .timedOut, .snapshotLost, .databaseUnavailable, .kafkaUnavailable, .storeUnavailable, .interrupted,
            .drainExceeded:
            true
        case .bug, .usage, .setupNeeded, .precheckFailed, .jobFailed, .totalsDiffer, .dateHeld, .differencesFound: false
        }
    }
}

/// The exit codes of all programs, for their scheduler. This is the one table of exit codes: `--help` and README are
/// made from it.
package enum ExitCode: Int32, Sendable, Hashable, CaseIterable, Error {
    case completed = 0
    case bug = 1
    case usage = 2
    case setupNeeded = 3
    case precheckFailed = 10
    case jobFailed = 11
    case totalsDiffer = 12
    case timedOut = 13
    case snapshotLost = 14
    case databaseUnavailable = 20
    case kafkaUnavailable = 21
    case storeUnavailable = 22
    case dateHeld = 30
    case interrupted = 31
    case drainExceeded = 32
    case differencesFound = 40

    package var meaning: String {
        switch self {
        case .completed: "completed; a worker: stopped after its jobs had finished"
        case .bug: "a bug"
        case .usage: "an option, a setting or a script is wrong; nothing was started"
        case .setupNeeded: "the ledger or a topic is missing or of another version: run `bda-coordinator setup`"
        case .precheckFailed: "a precheck failed"
        case .jobFailed: "a job was rejected or has no attempts left"
        case .totalsDiffer: "control totals or the columns of a dataset differ"
        case .timedOut: "no active worker, or the time limit of the run has passed"
        case .snapshotLost: "the database snapshot of the run was lost three times"
        case .databaseUnavailable: "the database is unavailable"
        case .kafkaUnavailable: "Kafka is unavailable"
        case .storeUnavailable: "the object store is unavailable"
        case .dateHeld: "another coordinator holds the business date, or the run was cancelled"
        case .interrupted: "interrupted; the same command continues the run"
        case .drainExceeded: "jobs of a stopping worker exceeded `BDA_DRAIN_SECONDS` and were given back"
        case .differencesFound: "`verify` found differences"
        }
    }

    /// Whether the same command may succeed later without a change; nil for a code that is not a failure.
    package var isWorthSchedulingAgain: Bool? {
        switch self {
        case .completed: nil
        case .timedOut, .snapshotLost, .databaseUnavailable, .kafkaUnavailable, .storeUnavailable, .interrupted,
            .drainExceeded:
            true
        case .bug, .usage, .setupNeeded, .precheckFailed, .jobFailed, .totalsDiffer, .dateHeld, .differencesFound: false
        }
    }

    /// The exit code of an error: its own, or that of a bug.
    package init(of error: any Error) {
        self = (error as? ExitCode) ?? (error as? any ErrorWithExitCode)?.exitCode ?? .bug
    }

    /// The table in README. A test compares the two.
    package static var markdownTable: String {
        "| code | meaning | schedule again? |\n| --- | --- | --- |\n"
            + allCases.map { code in
                let again = code.isWorthSchedulingAgain.map { $0 ? " yes" : " no" } ?? ""
                return "| \(code.rawValue) | \(code.meaning) |\(again) |\n"
            }.joined()
    }

    /// Lines for the `--help` of a program that ends with these codes.
    package static func helpText(_ codes: [ExitCode]) -> String {
        "EXIT CODES\n"
            + codes.map { code in
                let number = "\(code.rawValue)"
                return "  \(number)\(String(repeating: " ", count: 4 - number.count))"
                    + code.meaning.replacing("`", with: "'")
            }.joined(separator: "\n")
    }
}

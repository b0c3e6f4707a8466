import Testing

/// A place where a run stands still, because the test holds the lock that its next step needs, until the test has done
/// what it wants there.
enum Moment: Int, Sendable, CaseIterable, Comparable {
    /// The workers wait; no coordinator has been started.
    case start
    /// Snapshot, prechecks and tables are done; the job graph is not committed.
    case graph
    /// A job that reads the vaults is in the middle of its rows, its first file uploaded.
    case vaultJobs
    /// A job that reads the run's tables is.
    case runJobs
    /// A step of the run is done, and its record in the ledger is not committed: everything compared.
    case verified
    /// Manifests, views and `latest` moved.
    case published
    /// `run.completed` sent.
    case announced
    /// History segments committed.
    case history
    /// Nothing left to do.
    case closed

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// The advisory lock that holds the run there.
    var lock: Int { 4700 + rawValue }

    /// Those of a run whose jobs are not all done.
    static let early: [Moment] = [.graph, .vaultJobs, .runJobs]
    /// Those of the coordinator's steps.
    static let steps: [Moment] = [.verified, .published, .announced, .history, .closed]
    /// All but `start`.
    static let running = early + steps
}

/// What can go wrong, or be done, in a scenario. The text is what people read.
enum FaultKind: String, Sendable, CaseIterable {
    case workerKilled = "worker killed"
    case workerFrozen = "worker frozen"
    case workerFrozenInUpload = "worker frozen in an upload"
    case workerStopped = "worker stopped"
    case workersJoinAndLeave = "workers join and leave"
    case coordinatorKilledBeforeGraph = "coordinator killed before the graph"
    case coordinatorKilledWithSnapshot = "coordinator killed while the snapshot is needed"
    case coordinatorKilledAfterSnapshot = "coordinator killed after the snapshot"
    case coordinatorKilledVerified = "coordinator killed: verified"
    case coordinatorKilledPublished = "coordinator killed: published"
    case coordinatorKilledAnnounced = "coordinator killed: announced"
    case coordinatorKilledHistory = "coordinator killed: history"
    case coordinatorKilledClosing = "coordinator killed: closing"
    case coordinatorStopped = "coordinator stopped"
    case coordinatorFrozen = "coordinator frozen, date taken over"
    case brokerRestarted = "broker restarted"
    case brokerUnreachable = "broker unreachable"
    case brokerSilent = "broker silent"
    case brokerSlow = "broker slow"
    case brokerAway = "broker away"
    case databaseRestarted = "database restarted"
    case sessionsEnded = "sessions ended"
    case databaseReset = "database connections reset"
    case databaseSilent = "database silent"
    case databaseSlow = "database slow"
    case commitReplyLost = "reply to a commit lost"
    case viewsHeld = "reader in an open transaction"
    case rollingUpgrade = "rolling upgrade"
    case poolerRefused = "transaction pooler refused"
    case storeErrors = "store answers 500"
    case storeThrottles = "store answers SlowDown"
    case errorInSuccess = "store answers 200 with an error"
    case uploadReset = "upload reset"
    case wrongETag = "store answers a wrong ETag"
    case conditionRefused = "store answers 412"
    case answersLost = "store's answers lost"
    case storeUnreachable = "store unreachable"
    case storeSlow = "store slow"
    case messagesForged = "messages forged"
    case messagesRepeated = "messages repeated"
    case garbage = "garbage on all topics"
    case deadLettersRefused = "dead-letter topic refused"
    case clockAhead = "clock ahead"
    case clockBehind = "clock behind"

    /// When it may happen.
    var moments: [Moment] {
        switch self {
        case .workerKilled, .workerFrozen: [.vaultJobs, .runJobs]
        case .workerStopped, .workersJoinAndLeave, .messagesForged, .messagesRepeated: Moment.early
        case .coordinatorKilledBeforeGraph: [.graph]
        case .coordinatorKilledWithSnapshot: [.vaultJobs]
        case .coordinatorKilledAfterSnapshot: [.runJobs]
        case .coordinatorKilledVerified: [.verified]
        case .coordinatorKilledPublished: [.published]
        case .coordinatorKilledAnnounced: [.announced]
        case .coordinatorKilledHistory: [.history]
        case .coordinatorKilledClosing: [.closed]
        case .coordinatorStopped, .coordinatorFrozen, .databaseRestarted, .sessionsEnded, .databaseReset: Moment.running
        case .brokerRestarted, .brokerUnreachable, .brokerSilent, .brokerSlow, .garbage:
            [.graph, .vaultJobs, .runJobs, .verified, .published]
        case .databaseSilent, .databaseSlow: Moment.running
        case .brokerAway: [.graph, .vaultJobs, .runJobs, .verified]
        case .deadLettersRefused: Moment.early
        case .viewsHeld: [.start, .graph, .vaultJobs, .runJobs]
        // At the others a coordinator's transaction holds the table that the migration changes.
        case .rollingUpgrade: [.vaultJobs, .runJobs]
        case .poolerRefused: [.start] + Moment.early
        case .commitReplyLost: [.start, .vaultJobs]
        case .workerFrozenInUpload: [.start, .graph]
        case .storeErrors, .storeThrottles, .storeSlow, .uploadReset, .answersLost, .wrongETag, .errorInSuccess:
            [.start, .vaultJobs]
        case .conditionRefused: [.start]
        case .storeUnreachable: [.vaultJobs, .runJobs, .verified]
        case .clockAhead, .clockBehind: [.start]
        }
    }
}

/// One seeded story: who works, what goes wrong, and when. The same seed and number are the same story.
struct Scenario: Sendable, CustomTestStringConvertible {
    /// A fault at its moment. `choice` decides what the kind leaves open: which worker, how long, which session.
    struct Fault: Sendable {
        let kind: FaultKind
        let moment: Moment
        let choice: Int
    }

    let seed: UInt64
    let index: Int
    let partitions: Int
    let workers: Int
    /// A complete run of the date is there already, which this one replaces.
    let replacesRun: Bool
    /// In the order of their moments.
    let faults: [Fault]

    /// What people read: the faults with their moments.
    var story: String {
        let faults = faults.map { "\($0.kind.rawValue) (\($0.moment))" }.joined(separator: ", ")
        return "\(workers) workers, \(partitions) partitions\(replacesRun ? ", again" : ""): \(faults)"
    }

    var testDescription: String { "seed \(seed), scenario \(index)" }
}

extension Scenario {
    /// Scenario `index` of a seed. Two or three kinds of fault come from a shuffled list, so that every twenty scenarios in
    /// a row have each kind; up to two more come at random.
    init(seed: UInt64, index: Int) {
        self.seed = seed
        self.index = index
        var shuffler = SeededGenerator(seed: seed)
        let kinds = FaultKind.allCases.shuffled(using: &shuffler)
        var generator = SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(index))
        partitions = Int.random(in: 2...4, using: &generator)
        workers = Int.random(in: 2...3, using: &generator)
        let isAgain = Int.random(in: 0..<5, using: &generator) == 0
        var chosen = (index * kinds.count / 20..<(index + 1) * kinds.count / 20).map { kinds[$0 % kinds.count] }
        let others = [0, 0, 1, 2].randomElement(using: &generator)!
        for _ in 0..<others { chosen.append(kinds.randomElement(using: &generator)!) }
        // Without a former run there are no views to hold.
        replacesRun = isAgain || chosen.contains(.viewsHeld)
        var faults: [Fault] = []
        for kind in chosen {
            faults.append(
                Fault(
                    kind: kind, moment: kind.moments.randomElement(using: &generator)!,
                    choice: Int.random(in: 0..<10_000, using: &generator)))
        }
        self.faults = faults.sorted { $0.moment < $1.moment }
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

import BlockingIO
import JobModel
import TestSupport
import Testing

/// All reachable states of small fleets on the ledger's protocol, without a server; `LedgerConformanceTests` says that the
/// real one behaves so.
@Suite(.timeLimit(.minutes(5))) actor LedgerModelTests {
    /// Each test computes for long: on a thread of its own it keeps none of the few threads of all other tests.
    private let thread = BlockingThread(name: "model")

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Two workers and three attempts: frozen, killed and cut-off ones in chains of take-overs.
    private static let chain = {
        var scope = FleetModel.Scope(LedgerModel.Plan([.init()], maxAttempts: 3))
        scope.workers = 2
        scope.disturbances = 3
        scope.interruptions = 1
        return scope
    }()

    /// Two workers and two jobs, of which one needs the other.
    private static let graph = {
        var scope = FleetModel.Scope(LedgerModel.Plan([.init(), .init(needs: [0])], maxAttempts: 2))
        scope.workers = 2
        scope.disturbances = 2
        scope.interruptions = 1
        return scope
    }()

    /// Three coordinators, each of which takes the run over from the one before, and a person who cancels.
    private static let owners = {
        var scope = FleetModel.Scope(LedgerModel.Plan([.init()], maxAttempts: 1))
        scope.coordinators = 3
        scope.cancels = 1
        scope.disturbances = 2
        return scope
    }()

    @Test(
        "in every reachable state: one result, none of a former attempt, no step too early; and an end is near",
        arguments: [("chain", chain), ("graph", graph), ("owners", owners)])
    func allStatesAreRight(_ name: String, _ scope: FleetModel.Scope) {
        let exploration = Exploration(of: FleetModel(scope))
        print("all states of '\(name)': \(exploration)")
        #expect(exploration.violation == nil)
        #expect(exploration.deadEnd == nil)
        #expect(exploration.ends > 0 && exploration.states > 20_000)
    }

    @Test func theDrawingsHaveExactlyTheTransitionsOfTheModel() throws {
        var (jobs, runs): (Set<String>, Set<String>) = ([], [])
        var small = FleetModel.Scope(LedgerModel.Plan([.init(), .init(needs: [0])], maxAttempts: 2))
        small.disturbances = 1
        small.interruptions = 1
        small.cancels = 1
        _ = Exploration(of: FleetModel(small)) { before, after in
            for (old, new) in zip(before.ledger.jobs, after.ledger.jobs) where old.state != new.state {
                jobs.insert("\(old.state.rawValue) --> \(new.state.rawValue)")
            }
            if before.ledger.run != after.ledger.run {
                runs.insert("\(before.ledger.run.rawValue) --> \(after.ledger.run.rawValue)")
            }
        }
        #expect(try jobs == StateDrawing.transitions(under: "## A job in the ledger"))
        // The model ends a run when it is published; the steps after that are a line.
        let drawn = try StateDrawing.transitions(under: "## A run in the ledger")
        #expect(runs.isSubset(of: drawn))
        #expect(
            drawn
                == Set(
                    RunState.allCases.flatMap { state in
                        let ends: [RunState] = state.isFinal || state.isPublished ? [] : [.failed, .cancelled]
                        return (ends + [state.next].compactMap { $0 }).map { "\(state.rawValue) --> \($0.rawValue)" }
                    }))
    }

    @Test("a rule of the protocol that is left out is missed", arguments: FleetModel.Mistake.allCases)
    func mistakesAreFound(_ mistake: FleetModel.Mistake) {
        var scope =
            switch mistake {
            case .failureIsNotOwned, .failedAfterManifest: Self.owners
            case .readyTooEarly: Self.graph
            default: Self.chain
            }
        scope.mistake = mistake
        #expect(Exploration(of: FleetModel(scope)).violation != nil)
    }

    /// Five segments in a row; the fourth waits for all of the third.
    private static func rows(of partitions: Int, maxAttempts: Int, seconds: () -> Int = { 1 }) -> LedgerModel.Plan {
        let jobs = (0..<5).flatMap { segment in
            (0..<partitions).map { partition in
                let all = (0..<partitions).map { 2 * partitions + $0 }
                let same = segment == 0 ? [] : [(segment - 1) * partitions + partition]
                return LedgerModel.Plan.Job(needs: segment == 3 ? all : same, expectedSeconds: seconds())
            }
        }
        return LedgerModel.Plan(jobs, maxAttempts: maxAttempts)
    }

    @Test(
        "thousands of random ways through larger graphs: all is right at each step, and each comes to an end",
        arguments: [(partitions: 2, workers: 4, walks: 2000), (partitions: 16, workers: 8, walks: 100)])
    func randomWaysAreRight(_ partitions: Int, _ workers: Int, _ walks: Int) {
        var scope = FleetModel.Scope(Self.rows(of: partitions, maxAttempts: 4))
        scope.workers = workers
        scope.coordinators = 4
        scope.disturbances = 15 * partitions
        scope.interruptions = 4 * partitions
        var (steps, disturbances) = (0, 0)
        for seed in 0..<walks {
            let walk = RandomWalk(of: FleetModel(scope), seed: UInt64(seed), disturbances: 15, limit: 50_000)
            #expect(walk.violation == nil)
            #expect(walk.isEnd, "seed \(seed) has no end after \(walk.steps) steps")
            steps += walk.steps
            disturbances += walk.disturbances
        }
        print("\(walks) ways, \(partitions) partitions: \(steps) steps, \(disturbances) disturbances")
        #expect(disturbances > walks)
    }

    /// A few jobs that take a minute, and many that take a second or two.
    private static func skewed(_ count: Int, using generator: inout SplitMix64) -> [Int] {
        (0..<count).map { _ in
            // Doubled about ten times in the longest.
            var duration = 1500.0
            while duration < 60_000, Int.random(in: 0..<100, using: &generator) < 60 { duration *= 1.5 }
            return Int(min(duration, 60_000) * Double.random(in: 0.8..<1.2, using: &generator))
        }
    }

    private static func worstRatio(slots: Int, isExpected: Bool) -> Double {
        (0..<25).map { seed in
            var generator = SplitMix64(seed: UInt64(seed))
            let durations = skewed(160, using: &generator)
            let jobs = durations.map { duration in
                let guess = Double(duration) * Double.random(in: 0.8..<1.25, using: &generator)
                return LedgerModel.Plan.Job(expectedSeconds: isExpected ? Int(guess) : 1)
            }
            var setup = FleetSimulation.Setup(
                LedgerModel.Plan(jobs, maxAttempts: 5), durations: durations, slots: slots)
            setup.lost = 10
            setup.repeated = 10
            setup.seed = UInt64(seed)
            let makespan = FleetSimulation(setup).makespan ?? .max
            return Double(makespan) / Double(FleetSimulation.bound(durations: durations, slots: slots))
        }.max()!
    }

    @Test(
        "a skewed set of jobs takes at most 1.15 times what it must, with requests lost, repeated and out of order",
        arguments: [4, 8, 16, 32])
    func longestGoFirst(_ slots: Int) {
        let worst = Self.worstRatio(slots: slots, isExpected: true)
        print("\(slots) slots, the worst of 25 job sets: makespan \(worst) times the bound")
        #expect(worst <= 1.15)
    }

    @Test func jobsOfUnknownDurationTakeLonger() {
        #expect(Self.worstRatio(slots: 16, isExpected: false) > 1.15)
    }

    @Test("no slot idles for more than a second while a job can be had, whatever is lost, fails or dies")
    func noHandsAreIdle() {
        for seed in 0..<50 {
            var generator = SplitMix64(seed: UInt64(seed))
            let plan = Self.rows(of: 16, maxAttempts: 10) { Int.random(in: 1...50, using: &generator) }
            var setup = FleetSimulation.Setup(plan, durations: plan.jobs.map { $0.expectedSeconds * 500 }, slots: 8)
            setup.lost = 20
            setup.repeated = 20
            setup.failing = 10
            setup.deaths = 4
            setup.seed = UInt64(seed)
            let run = FleetSimulation(setup)
            #expect(run.ledger.run == .verified && run.makespan != nil, "seed \(seed)")
            // Between two events nobody looks, and a look at what has become ready takes a moment.
            #expect(run.longestIdleness <= 1100, "seed \(seed)")
        }
    }
}

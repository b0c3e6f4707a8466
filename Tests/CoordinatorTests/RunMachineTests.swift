import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Testing
import TestSupport

@testable import Coordinator

/// Each transition of the machine, and that nothing else is one. `docs/states.md` draws the same transitions.
@Suite struct RunMachineTests {
    typealias Machine = RunMachine

    private static let passing = RunFailure(.databaseUnavailable, "the database is away")
    private static let ending = RunFailure(.jobFailed, "a job was rejected")
    private static let lost = RunFailure(.snapshotLost, "snapshot_lost")
    private static let heldElsewhere = RunFailure(.dateHeld, "taken over")

    /// Plays events from the start; returns the actions, the first included.
    private func play(_ events: [Machine.Event]) -> (Machine, [Machine.Action]) {
        var machine = Machine()
        var actions = [machine.first]
        for event in events { actions.append(machine.handle(event)) }
        return (machine, actions)
    }

    private static let wholeRun: [Machine.Event] =
        [.found(.nothing), .begun, .performed]
        + [.performed, .recorded, .performed, .recorded, .performed, .recorded, .performed, .recorded]
        + [.performed, .recorded]

    @Test func aNewRunTakesEachStepOnceAndRecordsEachState() {
        let (machine, actions) = play(Self.wholeRun)
        #expect(
            actions == [
                .look, .begin, .perform(.jobs), .perform(.verify), .record(from: .running, to: .verified),
                .perform(.publish), .record(from: .verified, to: .published),
                .perform(.announce), .record(from: .published, to: .announced),
                .perform(.history), .record(from: .announced, to: .history),
                .perform(.close), .record(from: .history, to: .closed), .finish(.completed),
            ])
        #expect(machine.state == .ended)
    }

    @Test func theRecordedStatesAreThoseOfTheRun() {
        let (_, actions) = play(Self.wholeRun)
        var state = RunState.running
        for case .record(let from, let to) in actions {
            #expect(from == state && from.next == to)
            state = to
        }
        #expect(state == .closed)
    }

    @Test(arguments: RunState.allCases.filter { !$0.isFinal })
    func anOpenRunGoesOnFromItsRecordedState(_ state: RunState) throws {
        let (_, actions) = play([.found(.open(state, hasJobs: true))])
        let step = try #require(Machine.Step(resuming: state))
        #expect(actions == [.look, .perform(step)])
        #expect(step.state == state)
    }

    @Test(arguments: RunState.allCases.filter(\.isFinal))
    func anEndedRunIsNotResumed(_ state: RunState) { #expect(Machine.Step(resuming: state) == nil) }

    @Test func anOpenRunWithoutJobsIsAbandonedAndAnotherBegins() {
        let (_, actions) = play([.found(.open(.running, hasJobs: false)), .abandoned])
        #expect(actions == [.look, .abandon, .begin])
    }

    @Test func aCompleteDateIsLeftAlone() {
        let (machine, actions) = play([.found(.complete)])
        #expect(actions == [.look, .finish(.completeBefore)])
        #expect(machine.state == .ended)
    }

    /// The events that lead to each step, and whether a failure in it may end the run.
    static let steps: [(Machine.Step, prefix: Int, canEnd: Bool)] = [
        (.jobs, 2, true), (.verify, 3, true), (.publish, 5, true), (.announce, 7, false), (.history, 9, false),
        (.close, 11, false),
    ]

    @Test(arguments: steps.indices)
    func aFailureEndsTheRunOnlyUntilItIsPublished(_ index: Int) {
        let (step, prefix, canEnd) = Self.steps[index]
        for isRecording in [false, true] where !(step == .jobs && isRecording) {
            let events = Array(Self.wholeRun.prefix(prefix)) + (isRecording ? [.performed] : [])
            var (machine, _) = play(events)
            #expect(machine.state == (isRecording ? .recording(step) : .performing(step)))
            let action = machine.handle(.failed(Self.ending))
            #expect(action == (canEnd ? .recordFailure(Self.ending) : .finish(.failed(Self.ending))))
            if canEnd { expect(machine.handle(.failureRecorded) == .finish(.failed(Self.ending))) }
            #expect(machine.state == .ended)
        }
    }

    @Test(arguments: steps.indices)
    func aFailureThatMayPassLeavesTheRunOpen(_ index: Int) {
        var (machine, _) = play(Array(Self.wholeRun.prefix(Self.steps[index].prefix)))
        expect(machine.handle(.failed(Self.passing)) == .finish(.failed(Self.passing)))
    }

    @Test func aFailureBeforeThereIsARunEndsTheProgram() {
        for events: [Machine.Event] in [[], [.found(.open(.running, hasJobs: false))]] {
            var (machine, _) = play(events)
            expect(machine.handle(.failed(Self.ending)) == .finish(.failed(Self.ending)))
        }
        var (machine, _) = play([.found(.nothing)])
        expect(machine.handle(.failed(Self.ending)) == .recordFailure(Self.ending))
    }

    @Test func aLostSnapshotIsFollowedByAnotherRunAtMostTwice() {
        let lose: [Machine.Event] = [.begun, .failed(Self.lost), .failureRecorded]
        let (machine, actions) = play([.found(.nothing)] + lose + lose + lose)
        let again: [Machine.Action] = [.perform(.jobs), .recordFailure(Self.lost)]
        #expect(
            actions == [.look, .begin] + again + [.begin] + again + [.begin] + again + [.finish(.failed(Self.lost))])
        #expect(machine.state == .ended)
    }

    @Test func aFormerOwnerSaysThatTheRunIsAnothers() {
        let events: [Machine.Event] = [.found(.nothing), .begun, .failed(Self.ending)]
        var (former, _) = play(events)
        expect(former.handle(.failed(Self.heldElsewhere)) == .finish(.failed(Self.heldElsewhere)))
        var (owner, _) = play(events)
        expect(owner.handle(.failed(Self.passing)) == .finish(.failed(Self.ending)))
    }

    /// Walks all states that events can lead to, and compares the arrows with those of the drawing.
    @Test func theDrawingHasExactlyTheTransitionsOfTheCode() async throws {
        let failures = [Self.passing, Self.ending, Self.lost, Self.heldElsewhere]
        let open = RunState.allCases.filter { !$0.isFinal }
        let events: [Machine.Event] =
            [.abandoned, .begun, .performed, .recorded, .failureRecorded, .found(.nothing), .found(.complete)]
            + open.map { .found(.open($0, hasJobs: true)) } + [.found(.open(.running, hasJobs: false))]
            + failures.map { .failed($0) }
        var arrows: Set<String> = []
        var seen: Set<Machine.State> = []
        var waiting = [Machine()]
        while let machine = waiting.popLast() {
            guard seen.insert(machine.state).inserted else { continue }
            for event in events where Self.fits(event, to: machine.state) {
                var next = machine
                _ = next.handle(event)
                arrows.insert("\(Self.name(of: machine.state)) --> \(Self.name(of: next.state))")
                waiting.append(next)
            }
        }
        #expect(try arrows == StateDrawing.transitions(under: "## A run's steps"))
    }

    /// Which events can come in a state: each action has its own answer, and all but the last can fail.
    private static func fits(_ event: Machine.Event, to state: Machine.State) -> Bool {
        switch (state, event) {
        case (.ended, _): false
        case (_, .failed): true
        case (.looking, .found), (.abandoning, .abandoned), (.beginning, .begun), (.performing, .performed),
            (.recording, .recorded), (.failing, .failureRecorded):
            true
        default: false
        }
    }

    private static func name(of state: Machine.State) -> String {
        switch state {
        case .performing(let step): "performing_\(step.rawValue)"
        case .recording(let step): "recording_\(step.rawValue)"
        case .failing: "failing"
        case .looking, .abandoning, .beginning, .ended: "\(state)"
        }
    }
}

/// `#expect` cannot call what mutates.
private func expect(_ holds: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(holds, sourceLocation: sourceLocation)
}

/// The two waits of the job loop.
@Suite struct JobClocksTests {
    private let start = ContinuousClock.now
    private var clocks: JobClocks { JobClocks(workerWait: .seconds(10), at: start) }

    private func counts(ready: Int, running: Int = 0) -> JobCounts {
        var counts = JobCounts()
        (counts.ready, counts.running) = (ready, running)
        return counts
    }

    @Test func jobsThatPauseDoNotCountWhileAWorkerIsAlive() {
        var clocks = clocks
        for second in 1...100 {
            let isOver = clocks.sawLedger(counts(ready: 3), hasWorkers: true, at: start + .seconds(second))
            #expect(!isOver)
        }
    }

    @Test func jobsWithoutAnyWorkerWaitForTheirTimeOnly() {
        var clocks = clocks
        expect(!clocks.sawLedger(counts(ready: 3), hasWorkers: false, at: start + .seconds(10)))
        expect(clocks.sawLedger(counts(ready: 3), hasWorkers: false, at: start + .seconds(11)))
    }

    @Test func anOutageOfTheLedgerHasAClockOfItsOwn() {
        var clocks = clocks
        expect(!clocks.missedLedger(at: start + .seconds(5)))
        expect(!clocks.missedLedger(at: start + .seconds(60)))
        // The outage does not count as time without workers.
        expect(!clocks.sawLedger(counts(ready: 3), hasWorkers: false, at: start + .seconds(62)))
        expect(!clocks.missedLedger(at: start + .seconds(63)))
        expect(clocks.missedLedger(at: start + .seconds(63) + JobClocks.ledgerWait + .seconds(1)))
    }
}

/// How services beside the steps end what a run is doing.
@Suite(.timeLimit(.minutes(2))) struct CurrentRunTests {
    @Test func anInterruptionCancelsTheWorkAndIsItsFailure() async throws {
        let current = CurrentRun()
        let run = RunRecord.example()
        current.set(run)
        let failure = RunFailure(.timedOut, "time is up")
        let error = await #expect(throws: RunFailure.self) {
            try await current.interruptible {
                current.interrupt(run.runID, with: failure)
                try await Task.sleep(for: .seconds(3600))
            }
        }
        #expect(error == failure)
    }

    @Test func anInterruptionOfAFormerRunDoesNotTouchTheNewOne() async throws {
        let current = CurrentRun()
        let (former, new) = (RunRecord.example(), RunRecord.example())
        current.set(former)
        current.interrupt(former.runID, with: RunFailure(.snapshotLost, "lost"))
        current.clear()
        current.set(new)
        current.interrupt(former.runID, with: RunFailure(.timedOut, "time is up"))
        #expect(try await current.interruptible { 7 } == 7)
    }

    @Test func theRunThatBeginsInsideTheWorkCanBeInterrupted() async throws {
        let current = CurrentRun()
        let run = RunRecord.example()
        let failure = RunFailure(.timedOut, "time is up")
        let error = await #expect(throws: RunFailure.self) {
            try await current.interruptible {
                current.set(run)
                current.interrupt(run.runID, with: failure)
                try await Task.sleep(for: .seconds(3600))
            }
        }
        #expect(error == failure)
    }

    @Test func workThatEndsByItselfKeepsItsResult() async throws {
        let current = CurrentRun()
        #expect(try await current.interruptible { "done" } == "done")
        await #expect(throws: CancellationError.self) { try await current.interruptible { throw CancellationError() } }
    }
}

extension RunRecord {
    static func example() -> RunRecord {
        var generator = SystemRandomNumberGenerator()
        return RunRecord(
            runID: RunID(millisecondsSince1970: 1_800_000_000_000, using: &generator), clientID: "acme",
            environment: "dev", businessDate: BusinessDate(daysSince1970: 20_000), cutoff: "2026-01-01T00:00:00.000Z",
            systems: ["tripica"], isCompleteSet: true,
            settings: RunSettings(
                partitionCount: 2, rowsPerPart: 10, uploadPieceBytes: 8 << 20, compression: .none,
                compressionLevel: nil, output: "file:///tmp", outputPrefix: "billing", maxAttempts: 3,
                retryBaseSeconds: 1, retryMaxSeconds: 2, jobTimeoutSeconds: 60),
            owner: "test", snapshotID: nil)
    }
}

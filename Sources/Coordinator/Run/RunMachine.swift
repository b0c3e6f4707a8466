import CommandLineOptions
import JobModel

/// What a coordinator does next for a business date, as a pure state machine: what happened goes in, the next action comes
/// out. `docs/states.md` draws it.
///
/// A run goes through its steps in order; the step that ends a `RunState` is recorded in the ledger before the next begins.
/// A failure ends the run as long as nothing that BI follows has changed. A failure that may pass, and any failure after
/// that, leaves the run open, and the next `run` goes on with it.
struct RunMachine: Sendable {
    /// A step of a run, one file each in this folder.
    enum Step: String, Sendable, Hashable, CaseIterable {
        case jobs, verify, publish, announce, history, close

        /// The state of the run while the step is performed.
        var state: RunState {
            switch self {
            case .jobs, .verify: .running
            case .publish: .verified
            case .announce: .published
            case .history: .announced
            case .close: .history
            }
        }

        /// The first step of a run that the ledger says to be in the state; nil for a run that has ended.
        init?(resuming state: RunState) {
            guard let step = Self.allCases.first(where: { $0.state == state }) else { return nil }
            self = step
        }

        /// The step after this one.
        var next: Step? {
            let index = Self.allCases.firstIndex(of: self)! + 1
            return index < Self.allCases.count ? Self.allCases[index] : nil
        }
    }

    /// What the machine waits for.
    enum State: Sendable, Hashable {
        /// For what the ledger knows of the date.
        case looking
        /// For the end of an open run that has no jobs yet.
        case abandoning
        /// For a new run's snapshot, row, tables and jobs.
        case beginning
        /// For the work of a step.
        case performing(Step)
        /// For the step's compare-and-set in the ledger.
        case recording(Step)
        /// For the record of the run's failure.
        case failing(RunFailure)
        /// For nothing: the machine has ended.
        case ended
    }

    /// What the ledger knows of the date.
    enum Found: Sendable, Hashable {
        /// No run that could be continued, and none that makes another one needless.
        case nothing
        /// A run that is not finished.
        case open(RunState, hasJobs: Bool)
        /// A run that is finished.
        case complete
    }

    enum Event: Sendable, Hashable {
        case found(Found)
        case abandoned
        case begun
        case performed
        /// The compare-and-set went through.
        case recorded
        case failureRecorded
        case failed(RunFailure)
    }

    enum Action: Sendable, Hashable {
        case look
        /// Fail the open run, which has no jobs: nothing is lost by beginning anew.
        case abandon
        case begin
        case perform(Step)
        case record(from: RunState, to: RunState)
        case recordFailure(RunFailure)
        case finish(Ending)
    }

    /// How the work on the date ended.
    enum Ending: Sendable, Hashable {
        case completed
        /// The date was complete before, and nothing was done.
        case completeBefore
        case failed(RunFailure)
    }

    private(set) var state = State.looking
    /// How many runs have lost their snapshot so far.
    private var lostSnapshots = 0

    /// How many times a run that has lost its snapshot is followed by another one.
    static let maximumLostSnapshots = 2

    /// The first action.
    let first = Action.look

    /// The action that follows from an event. An event that does not fit to the state is a programming error.
    mutating func handle(_ event: Event) -> Action {
        switch (state, event) {
        case (.looking, .found(.nothing)), (.abandoning, .abandoned): return begin()
        case (.looking, .found(.complete)): return finish(.completeBefore)
        case (.looking, .found(.open(.running, hasJobs: false))):
            state = .abandoning
            return .abandon
        case (.looking, .found(.open(let open, _))):
            guard let step = Step(resuming: open) else { preconditionFailure("a run in state \(open) is not open") }
            return perform(step)
        case (.beginning, .begun): return perform(.jobs)
        case (.performing(let step), .performed):
            guard step.next?.state != step.state else { return perform(step.next!) }
            return record(step)
        case (.recording(let step), .recorded):
            guard let next = step.next else { return finish(.completed) }
            return perform(next)
        case (.looking, .failed(let failure)), (.abandoning, .failed(let failure)): return finish(.failed(failure))
        case (.beginning, .failed(let failure)): return fail(failure, canEndRun: true)
        case (.performing(let step), .failed(let failure)), (.recording(let step), .failed(let failure)):
            return fail(failure, canEndRun: !step.state.isPublished)
        case (.failing(let failure), .failureRecorded):
            guard failure.exitCode == .snapshotLost, lostSnapshots < Self.maximumLostSnapshots else {
                return finish(.failed(failure))
            }
            // The figures of the date are wanted, not this run: another one reads a new snapshot.
            lostSnapshots += 1
            return begin()
        case (.failing(let failure), .failed(let second)):
            // A former owner records nothing, and its run goes on elsewhere: that is what people must read.
            return finish(.failed(second.exitCode == .dateHeld ? second : failure))
        default: preconditionFailure("\(event) does not fit to \(state)")
        }
    }

    private mutating func begin() -> Action {
        state = .beginning
        return .begin
    }

    private mutating func perform(_ step: Step) -> Action {
        state = .performing(step)
        return .perform(step)
    }

    private mutating func record(_ step: Step) -> Action {
        state = .recording(step)
        return .record(from: step.state, to: step.next?.state ?? .closed)
    }

    private mutating func fail(_ failure: RunFailure, canEndRun: Bool) -> Action {
        guard canEndRun, !failure.leavesRunOpen else { return finish(.failed(failure)) }
        state = .failing(failure)
        return .recordFailure(failure)
    }

    private mutating func finish(_ ending: Ending) -> Action {
        state = .ended
        return .finish(ending)
    }
}

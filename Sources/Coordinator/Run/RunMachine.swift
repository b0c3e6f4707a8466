import CommandLineOptions
import JobModel

/// The pure state machine of a coordinator for one business date: it takes an event and returns the next action.
/// `docs/states.md` has its diagram.
///
/// A run performs its steps in order; the step that ends a `RunState` is recorded in the ledger before the next begins.
/// A permanent failure ends the run if no object that BI reads has changed yet. A temporary failure, and any failure
/// after that point, leaves the run open, and the next `run` continues it.
struct RunMachine: Sendable {
    /// A step of a run; each has a file in this folder.
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

        /// The first step of a run that is in the given state; nil if the run has ended.
        init?(resuming state: RunState) {
            guard let step = Self.allCases.first(where: { $0.state == state }) else { return nil }
            self = step
        }

        /// The next step; nil after the last one.
        var next: Step? {
            let index = Self.allCases.firstIndex(of: self)! + 1
            return index < Self.allCases.count ? Self.allCases[index] : nil
        }
    }

    /// The event that the machine waits for.
    enum State: Sendable, Hashable {
        /// The result of the lookup of the date's runs.
        case looking
        /// The end of an open run that has no jobs yet.
        case abandoning
        /// The snapshot, row, tables and jobs of a new run.
        case beginning
        /// The end of a step's work.
        case performing(Step)
        /// The compare-and-set of a step in the ledger.
        case recording(Step)
        /// The record of the run's failure in the ledger.
        case failing(RunFailure)
        /// No event: the machine has ended.
        case ended
    }

    /// The result of the lookup of the date's runs in the ledger.
    enum Found: Sendable, Hashable {
        /// Neither an open run, nor a complete run that satisfies the request.
        case nothing
        /// A run that has not ended.
        case open(RunState, hasJobs: Bool)
        /// A complete run that satisfies the request.
        case complete
    }

    enum Event: Sendable, Hashable {
        case found(Found)
        case abandoned
        case begun
        case performed
        /// The compare-and-set succeeded.
        case recorded
        case failureRecorded
        case failed(RunFailure)
    }

    enum Action: Sendable, Hashable {
        case look
        /// Fail the open run, which has no jobs, so that a new run loses no work.
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
        /// The date was already complete, and nothing was done.
        case completeBefore
        case failed(RunFailure)
    }

    private(set) var state = State.looking
    /// Number of runs that have lost their snapshot.
    private var lostSnapshots = 0

    /// Maximum number of new runs after runs that lost their snapshot.
    static let maximumLostSnapshots = 2

    /// The first action.
    let first = Action.look

    /// Returns the action that follows an event. An event that the state does not expect is a programming error.
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
            // A new run reads a new snapshot and exports the date.
            lostSnapshots += 1
            return begin()
        case (.failing(let failure), .failed(let second)):
            // An earlier owner cannot record a failure, because another coordinator continues the run. The operator
            // must learn this rather than the first failure.
            return finish(.failed(second.exitCode == .dateHeld ? second : failure))
        default: preconditionFailure("\(event) is not expected in \(state)")
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

/// The next actions of a service group, as a pure state machine: an event goes in, actions come out.
///
///     running --signal, a member ended--> stopping: the last member, then the one before it ...
///     each member: drain (if it can) --its limit--> cancel --the group's limit--> abort
///     second signal: all members are cancelled at once
struct ServiceGroupState {
    struct Member {
        /// The time limit of its drain; nil if it is cancelled immediately.
        let drainLimit: Duration?
    }

    enum Stage: Sendable { case drain, cancel }

    enum Action: Equatable {
        case drain(Int)
        case cancel(Int)
        /// After the time, `timerFired` is to be called with these values.
        case startTimer(Int, Stage, Duration)
        /// The member did not end although it was cancelled.
        case abort(Int)
        case finish
    }

    private let members: [Member]
    private let cancelLimit: Duration
    private var running: Set<Int>
    private var cancelled: Set<Int> = []
    /// The member whose end is awaited; nil while all may run.
    private var stopping: Int?
    private var signals = 0
    /// Members that did not end within their drain limit, in the order in which it ran out.
    private(set) var overdue: [Int] = []

    init(members: [Member], cancelLimit: Duration) {
        self.members = members
        self.cancelLimit = cancelLimit
        running = Set(members.indices)
    }

    var isStopping: Bool { stopping != nil }

    /// A member returned or threw. The first end of a member ends the program's work.
    mutating func memberEnded(_ index: Int) -> [Action] {
        running.remove(index)
        if let stopping, running.contains(stopping) { return [] }
        return stopNext()
    }

    /// SIGTERM or SIGINT was received.
    mutating func signalReceived() -> [Action] {
        signals += 1
        switch signals {
        case 1: return stopping == nil ? stopNext() : []
        case 2: return running.sorted(by: >).flatMap { cancel($0) }
        default: return []
        }
    }

    /// The time of a `startTimer` has passed.
    mutating func timerFired(_ index: Int, _ stage: Stage) -> [Action] {
        guard running.contains(index) else { return [] }
        switch stage {
        case .drain:
            guard !cancelled.contains(index) else { return [] }
            overdue.append(index)
            return cancel(index)
        case .cancel: return [.abort(index)]
        }
    }

    private mutating func stopNext() -> [Action] {
        guard let last = running.max() else { return [.finish] }
        stopping = last
        // A second signal has cancelled it already.
        if cancelled.contains(last) { return [] }
        guard let limit = members[last].drainLimit else { return cancel(last) }
        return [.drain(last), .startTimer(last, .drain, limit)]
    }

    private mutating func cancel(_ index: Int) -> [Action] {
        guard cancelled.insert(index).inserted else { return [] }
        return [.cancel(index), .startTimer(index, .cancel, cancelLimit)]
    }
}

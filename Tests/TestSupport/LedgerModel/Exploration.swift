/// A system whose every behaviour can be explored: a state, what can happen in it, and what must hold.
package protocol Explorable: Sendable {
    /// One thing that can happen.
    associatedtype Action: Sendable

    /// All that can happen next.
    var actions: [Action] { get }
    /// The state after it.
    func after(_ action: Action) -> Self
    /// What must never be, if it is so here.
    var violation: String? { get }
    /// Whether all is done that was to be done.
    var isEnd: Bool { get }
    /// Equal for states that behave alike. Different states have different ones but for a chance of 1 in 10^7.
    var fingerprint: UInt64 { get }
    /// Whether it is something that no progress may depend on, such as a crash or a frozen process that wakes up.
    static func isDisturbance(_ action: Action) -> Bool
}

/// What an exploration of all reachable states found.
package struct Exploration: Sendable, CustomStringConvertible {
    /// States, all of them reached and checked.
    package var states = 0
    /// Steps between them.
    package var steps = 0
    /// How many things happen on the way to the state that takes longest to reach.
    package var depth = 0
    /// States in which all is done.
    package var ends = 0
    /// The shortest way to a state that must not be, and what is wrong there.
    package var violation: String?
    /// The shortest way to a state from which no end can be reached without another disturbance.
    package var deadEnd: String?

    /// What people read.
    package var description: String {
        "\(states) states, \(steps) steps, depth \(depth), \(ends) ends"
            + (violation.map { "; VIOLATION: \($0)" } ?? "") + (deadEnd.map { "; DEAD END: \($0)" } ?? "")
    }

    /// Goes through all states that can be reached from `start`, breadth first, until one is wrong.
    ///
    /// - Parameters:
    ///   - limit: the exploration traps beyond this number of states, rather than call a part of them all.
    ///   - observe: is called for each step.
    package init<State: Explorable>(
        of start: State, limit: Int = 2_000_000, observe: (_ before: State, _ after: State) -> Void = { _, _ in }
    ) {
        var known: [UInt64: Int32] = [start.fingerprint: 0]
        var parents: [(state: Int32, action: State.Action)?] = [nil]
        var isEnd = [start.isEnd]
        // The steps that are no disturbances, for the way back from the ends.
        var calmSteps: [(from: Int32, to: Int32)] = []
        var level = [(number: Int32(0), state: start)]
        func way(to number: Int32, _ problem: String) -> String {
            var actions: [String] = []
            var current = number
            while let parent = parents[Int(current)] {
                actions.append("\(parent.action)")
                current = parent.state
            }
            return "\(problem)\n  " + actions.reversed().joined(separator: "\n  ")
        }
        while !level.isEmpty, violation == nil {
            var next: [(number: Int32, state: State)] = []
            for (number, state) in level {
                for action in state.actions {
                    let successor = state.after(action)
                    steps += 1
                    observe(state, successor)
                    let fingerprint = successor.fingerprint
                    let target: Int32
                    if let seen = known[fingerprint] {
                        target = seen
                    } else {
                        target = Int32(parents.count)
                        known[fingerprint] = target
                        parents.append((number, action))
                        isEnd.append(successor.isEnd)
                        precondition(parents.count <= limit, "more than \(limit) states")
                        if let problem = successor.violation {
                            violation = violation ?? way(to: target, problem)
                        }
                        next.append((target, successor))
                    }
                    if !State.isDisturbance(action), target != number { calmSteps.append((number, target)) }
                }
            }
            if !next.isEmpty { depth += 1 }
            level = next
        }
        states = parents.count
        ends = isEnd.count { $0 }
        if violation == nil, let lost = Self.firstWithoutEnd(isEnd, calmSteps) {
            deadEnd = way(to: lost, "no end can be reached any more")
        }
    }

    /// The first state from which no end is reached, going back from the ends.
    private static func firstWithoutEnd(_ isEnd: [Bool], _ steps: [(from: Int32, to: Int32)]) -> Int32? {
        // Steps by their target, one array for all.
        var first = Array(repeating: Int32(0), count: isEnd.count + 1)
        for step in steps { first[Int(step.to) + 1] += 1 }
        for index in 1..<first.count { first[index] += first[index - 1] }
        var sources = Array(repeating: Int32(0), count: steps.count)
        var position = first
        for step in steps {
            sources[Int(position[Int(step.to)])] = step.from
            position[Int(step.to)] += 1
        }
        var reaches = isEnd
        var open = isEnd.indices.filter { isEnd[$0] }.map { Int32($0) }
        while let state = open.popLast() {
            for source in sources[Int(first[Int(state)])..<Int(first[Int(state) + 1])] where !reaches[Int(source)] {
                reaches[Int(source)] = true
                open.append(source)
            }
        }
        return reaches.firstIndex(of: false).map { Int32($0) }
    }
}

/// One way through a system, by chance.
package struct RandomWalk: Sendable {
    /// How many things happened.
    package private(set) var steps = 0
    /// How many of them were disturbances.
    package private(set) var disturbances = 0
    /// Whether all was done in the end.
    package private(set) var isEnd = false
    /// What must not be, and was, with the last steps before it.
    package private(set) var violation: String?

    /// Goes on from `start` until all is done, something is wrong, or there were too many steps.
    ///
    /// - Parameter disturbances: how many of a hundred steps are disturbances, where there is a choice.
    package init<State: Explorable>(
        of start: State, seed: UInt64, disturbances: Int, limit: Int
    ) {
        var generator = SplitMix64(seed: seed)
        var state = start
        var last: [State.Action] = []
        while steps < limit, !state.isEnd, state.violation == nil {
            let actions = state.actions
            let isDisturbed = Int.random(in: 0..<100, using: &generator) < disturbances
            let wanted = actions.filter { State.isDisturbance($0) == isDisturbed }
            guard let action = (wanted.isEmpty ? actions : wanted).randomElement(using: &generator) else { break }
            state = state.after(action)
            steps += 1
            if State.isDisturbance(action) { self.disturbances += 1 }
            last = last.suffix(30) + [action]
        }
        isEnd = state.isEnd
        violation = state.violation.map { "seed \(seed): \($0), after \(last)" }
    }
}

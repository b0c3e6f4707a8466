import JobModel

/// A fleet in simulated time: how long a run takes, and whether a slot ever idles while a job waits. Coordinator, messages and
/// slots keep to the rules of `JobsStep` and `JobSlot`; what may be claimed says `LedgerModel`. Times are milliseconds.
package struct FleetSimulation {
    /// What is simulated.
    package struct Setup: Sendable {
        /// The graph; what the ledger expects of each job is in it.
        package var plan: LedgerModel.Plan
        /// How long each job really takes.
        package var durations: [Int]
        /// Slots in all, two to a worker.
        package var slots: Int
        /// How many of a hundred messages are lost, and how many come twice.
        package var lost = 0, repeated = 0
        /// How many of a hundred attempts end without a result.
        package var failing = 0
        /// How many workers are killed; each is started again.
        package var deaths = 0
        /// The same numbers, the same run.
        package var seed: UInt64 = 0

        /// A fleet that nothing disturbs.
        package init(_ plan: LedgerModel.Plan, durations: [Int], slots: Int) {
            self.plan = plan
            self.durations = durations
            self.slots = slots
        }
    }

    private enum Event {
        case look(Int)
        case message(job: Int, worker: Int)
        case wake(slot: Int, life: Int)
        case renew(slot: Int, life: Int)
        case end(slot: Int, life: Int)
        case death(worker: Int)
    }

    private struct Slot {
        var session: LedgerModel.SessionID?
        var attempt: LedgerModel.AttemptID?
        var idleSince: Int?
        /// Whether no message had brought its last job: then it does not wait for one before it asks again.
        var isFromLedger = false
        /// Grows with each thing that it begins: what was planned for the former is void.
        var life = 0
    }

    /// When the last result was committed; nil when the run did not end within a simulated day.
    package private(set) var makespan: Int?
    /// The longest time for which a slot was idle while a job could have been claimed.
    package private(set) var longestIdleness = 0
    /// The ledger at the end.
    package private(set) var ledger: LedgerModel

    private let setup: Setup
    private var generator: SplitMix64
    private var now = 0
    private var events: [(time: Int, event: Event)] = []
    private var slots: [Slot]
    private var queues: [[Int]]
    private var claimableSince: [Int?]
    private var lookNumber = 0
    private var lastLook = -1000
    private let lease = 30_000

    /// Runs a fleet to the end of its run.
    package init(_ setup: Setup) {
        self.setup = setup
        generator = SplitMix64(seed: setup.seed)
        ledger = LedgerModel(setup.plan)
        slots = Array(repeating: Slot(), count: setup.slots)
        queues = Array(repeating: [], count: max(1, setup.slots / 2))
        claimableSince = Array(repeating: nil, count: setup.plan.jobs.count)
        for slot in slots.indices { take(slot, wait: 1000) }
        plan(.look(0), in: 0)
        for _ in 0..<setup.deaths { plan(.death(worker: random(queues.count)), in: random(120_000)) }
        while ledger.run == .running, !events.isEmpty, now < 86_400_000 {
            let next = events.removeLast()
            now = next.time
            perform(next.event)
            noteIdleness()
        }
    }

    private mutating func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    private mutating func plan(_ event: Event, in time: Int) {
        // The latest comes first in the array; of equal ones the one that was planned first is taken first.
        let time = now + time
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].time >= time { low = middle + 1 } else { high = middle }
        }
        // Those of the same time lie before `low`; the new one goes before them.
        var place = low
        while place > 0, events[place - 1].time == time { place -= 1 }
        events.insert((time, event), at: place)
    }

    private mutating func perform(_ event: Event) {
        switch event {
        case .look(let number): if number == lookNumber { look() }
        case .message(let job, let worker):
            queues[worker].append(job)
            if let idle = slots.indices.first(where: { $0 / 2 == worker && slots[$0].idleSince != nil }) {
                take(idle, wait: 1000)
            }
        case .wake(let slot, let life):
            guard slots[slot].life == life else { return }
            claimFromLedger(slot)
        case .renew(let slot, let life):
            guard slots[slot].life == life, let attempt = slots[slot].attempt else { return }
            _ = ledger.renew([attempt], lease: lease, now: now)
            plan(.renew(slot: slot, life: life), in: lease / 3)
        case .end(let slot, let life):
            guard slots[slot].life == life, let attempt = slots[slot].attempt else { return }
            end(attempt, slot)
        case .death(let worker):
            queues[worker] = []
            for slot in slots.indices where slot / 2 == worker {
                if let session = slots[slot].session { ledger.end(session) }
                slots[slot] = Slot(life: slots[slot].life + 1)
                // Its successor is there after two seconds.
                plan(.wake(slot: slot, life: slots[slot].life), in: 2000)
            }
        }
    }

    // MARK: Coordinator

    private mutating func look() {
        lastLook = now
        lookNumber += 1
        guard let counts = try? ledger.advance(owner: 1, now: now) else { return }
        if counts[.done] == setup.plan.jobs.count {
            ledger.run = .verified
            return
        }
        if (counts[.failed] ?? 0) > 0 {
            _ = try? ledger.fail(owner: 1)
            return
        }
        for job in (try? ledger.takeDueRequests(owner: 1, again: 5000, now: now)) ?? [] {
            for _ in 0..<copies() {
                plan(.message(job: job, worker: random(queues.count)), in: 1 + random(20))
            }
        }
        plan(.look(lookNumber), in: 1000)
    }

    private mutating func copies() -> Int {
        let number = random(100)
        return number < setup.lost ? 0 : number < setup.lost + setup.repeated ? 2 : 1
    }

    /// An event has come: the next look is not far.
    private mutating func ring() {
        lookNumber += 1
        plan(.look(lookNumber), in: max(1, lastLook + 10 - now))
    }

    // MARK: Slots

    /// Takes messages until one brings a job, then waits for the time, or asks the ledger at once when it is 0 or when a job
    /// that was named was not to be had.
    private mutating func take(_ slot: Int, wait: Int) {
        var wait = wait
        while !queues[slot / 2].isEmpty {
            let job = queues[slot / 2].removeFirst()
            if claim(job, slot) { return }
            wait = 0
        }
        guard wait > 0 else { return claimFromLedger(slot) }
        slots[slot].life += 1
        slots[slot].idleSince = slots[slot].idleSince ?? now
        plan(.wake(slot: slot, life: slots[slot].life), in: wait)
    }

    private mutating func claimFromLedger(_ slot: Int) {
        if !claim(nil, slot) { take(slot, wait: 1000) }
    }

    private mutating func claim(_ job: Int?, _ slot: Int) -> Bool {
        let session = slots[slot].session ?? ledger.connect()
        slots[slot].session = session
        guard let claim = ledger.claim(job, worker: slot, session: session, lease: lease, now: now) else {
            return false
        }
        if claim.id.number > 1 { ledger.endSessions(before: claim.id, calledIn: session) }
        _ = ledger.begin(claim.id, in: session)
        slots[slot].attempt = claim.id
        slots[slot].idleSince = nil
        slots[slot].life += 1
        slots[slot].isFromLedger = job == nil
        plan(.end(slot: slot, life: slots[slot].life), in: setup.durations[claim.id.job])
        plan(.renew(slot: slot, life: slots[slot].life), in: lease / 3)
        return true
    }

    private mutating func end(_ attempt: LedgerModel.AttemptID, _ slot: Int) {
        slots[slot].attempt = nil
        if random(100) < setup.failing {
            if let session = slots[slot].session { ledger.end(session) }
            slots[slot].session = nil
            _ = ledger.endAttempt(attempt, outcome: .retry(after: Double(1000 + random(1000))), now: now)
        } else if let session = slots[slot].session, ledger.recordResult(in: session) == .recorded {
            ledger.commit(session)
            makespan = ledger.jobs.allSatisfy { $0.result != nil } ? now : nil
        }
        if random(100) >= setup.lost { ring() }
        take(slot, wait: slots[slot].isFromLedger ? 0 : 1000)
    }

    // MARK: What is measured

    private mutating func noteIdleness() {
        let idle = slots.compactMap(\.idleSince).min()
        for job in claimableSince.indices {
            guard ledger.run == .running, ledger.isClaimable(job, now: now) else {
                claimableSince[job] = nil
                continue
            }
            let since = claimableSince[job] ?? now
            claimableSince[job] = since
            if let idle { longestIdleness = max(longestIdleness, now - max(since, idle)) }
        }
    }

    /// What a list scheduler needs that knows all durations, hands the longest out first and loses no time.
    package static func bound(durations: [Int], slots: Int) -> Int {
        var loads = Array(repeating: 0, count: slots)
        for duration in durations.sorted(by: >) {
            let least = loads.indices.min { loads[$0] < loads[$1] }!
            loads[least] += duration
        }
        return loads.max() ?? 0
    }
}

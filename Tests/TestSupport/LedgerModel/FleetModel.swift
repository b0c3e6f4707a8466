package import JobModel

/// A fleet on the ledger's protocol: workers as in `JobSlot`, `JobRunner` and `LeaseKeeper`, coordinators as in `RunDriver`, and
/// a server whose sessions outlive their clients. Everything that can happen in a state is an action, so that all ways in
/// which it can go are explored.
///
/// There are no messages in it. A job request is a hint that may be lost, repeated, late or forged: so at any time any
/// worker may try to claim any job. The same holds for events: a coordinator may look at the ledger at any time.
package struct FleetModel: Explorable {
    /// What is explored, and which mistake is in it.
    package struct Scope: Sendable {
        /// The graph of the run.
        package var plan: LedgerModel.Plan
        /// How many slots the fleet has.
        package var workers = 1
        /// How many coordinators are started, one after the other, the former ones still about.
        package var coordinators = 1
        /// How often a person cancels.
        package var cancels = 0
        /// How often in all a worker freezes, crashes or loses its session, or an attempt ends without a result.
        package var disturbances = 0
        /// How many attempts end as interrupted.
        package var interruptions = 0
        /// For tests of the exploration itself.
        package var mistake: Mistake?

        package init(_ plan: LedgerModel.Plan) { self.plan = plan }
    }

    /// A rule of the protocol that is left out, to see that it is missed.
    package enum Mistake: Sendable, CaseIterable {
        /// A take-over ends the session of the last attempt and not those of the attempts before.
        case onlyLastSessionIsEnded
        /// A take-over begins without ending any session.
        case noSessionIsEnded
        /// The end of an attempt is recorded without looking at its number.
        case endIsNotGuarded
        /// A job is given up though its session may still commit.
        case givenUpWithSession
        /// An interruption gives back no attempt: it counts.
        case interruptionCounts
        /// An event of a worker, or a forged one, makes a job done.
        case eventCompletes
        /// A coordinator fails a run without being its owner.
        case failureIsNotOwned
        /// A run is failed or cancelled though `latest` may name it.
        case failedAfterManifest
        /// A job is ready as soon as what it needs is running.
        case readyTooEarly
    }

    /// A slot of a worker.
    struct Worker: Hashable, Sendable {
        enum Phase: Hashable, Sendable {
            case idle
            case claimed(LedgerModel.AttemptID, former: LedgerModel.SessionID?)
            case working(LedgerModel.AttemptID)
            /// It has sent the result and the commit.
            case committing(LedgerModel.AttemptID)
            /// It has closed its session and tells the ledger how the attempt ended.
            case reporting(LedgerModel.AttemptID, JobOutcome)
        }

        var phase = Phase.idle
        var session: LedgerModel.SessionID?
        var isFrozen = false
    }

    /// A coordinator's place in `RunMachine`.
    enum Coordinator: Hashable, Sendable {
        case ended
        /// Within `bda.advance`.
        case settled, givenUp
        /// Between two looks.
        case looking
        /// It has seen a failed job.
        case failing
        /// It has seen that all jobs are done, and verified them.
        case verifying
        case notingManifest, movingLatest
        case entering(RunState)
    }

    /// Something that happens.
    package enum Action: Sendable, Hashable {
        case claim(worker: Int, job: Int)
        case begin(worker: Int)
        case send(worker: Int)
        case takeAnswer(worker: Int)
        case end(worker: Int, JobOutcome)
        case report(worker: Int)
        case loseReport(worker: Int)
        case renew(worker: Int)
        case freeze(worker: Int)
        case wake(worker: Int)
        case crash(worker: Int)
        case serverCommits(session: Int)
        case sessionEnds(session: Int)
        case timePasses
        case coordinatorStarts
        case cancel
        case coordinator(Int)
        case forgedCompletion(job: Int)
    }

    let scope: Scope
    package internal(set) var ledger: LedgerModel
    var workers: [Worker]
    /// Each with the owner's number that it believes in.
    var coordinators: [(number: Int, phase: Coordinator)] = []
    /// Sessions at whose server a result and a commit have arrived or are on the way.
    var sent: Set<LedgerModel.SessionID> = []
    /// Whether `latest` names the run.
    var isLatest = false
    var starts = 0
    var cancels = 0
    var disturbances = 0
    /// The last attempt at each job whose work has begun.
    var begun: [Int]
    /// What has happened that must not.
    package internal(set) var violation: String?

    /// Nothing has happened yet.
    package init(_ scope: Scope) {
        self.scope = scope
        ledger = LedgerModel(scope.plan)
        workers = Array(repeating: Worker(), count: scope.workers)
        begun = Array(repeating: 0, count: scope.plan.jobs.count)
    }

    package var isEnd: Bool { ledger.run.isFinal }

    /// Whether somebody was disturbed.
    package static func isDisturbance(_ action: Action) -> Bool {
        switch action {
        case .freeze, .wake, .crash, .loseReport, .end, .cancel, .forgedCompletion: true
        case .sessionEnds: true
        default: false
        }
    }

    // MARK: What can happen

    package var actions: [Action] {
        var actions: [Action] = []
        let mayDisturb = disturbances < scope.disturbances
        for (number, worker) in workers.enumerated() {
            if worker.isFrozen {
                actions += [.wake(worker: number), .crash(worker: number)]
                continue
            }
            switch worker.phase {
            case .idle:
                for job in ledger.jobs.indices where ledger.run == .running && ledger.isClaimable(job, now: 0) {
                    actions.append(.claim(worker: number, job: job))
                }
                continue
            case .claimed:
                actions += [.begin(worker: number), .renew(worker: number)]
                if mayDisturb { actions.append(.end(worker: number, .retry(after: 1))) }
            case .working:
                actions += [.send(worker: number), .renew(worker: number)]
                if mayDisturb {
                    actions += [.end(worker: number, .retry(after: 1)), .end(worker: number, .rejected)]
                    if ledger.jobs.reduce(0, { $0 + $1.interruptions }) < scope.interruptions {
                        actions.append(.end(worker: number, .interrupted))
                    }
                }
            case .committing:
                if !isAnswerOpen(worker) { actions.append(.takeAnswer(worker: number)) }
                actions.append(.renew(worker: number))
                if mayDisturb { actions.append(.end(worker: number, .retry(after: 1))) }
            case .reporting:
                actions.append(.report(worker: number))
                if mayDisturb { actions.append(.loseReport(worker: number)) }
            }
            if mayDisturb {
                actions.append(.crash(worker: number))
                // Somebody must be left who does the work.
                if workers.count(where: { !$0.isFrozen }) > 1 { actions.append(.freeze(worker: number)) }
            }
        }
        for (session, transaction) in ledger.sessions.sorted(by: { $0.key < $1.key }) {
            if sent.contains(session) { actions.append(.serverCommits(session: session)) }
            let isHeld = workers.contains { $0.session == session }
            // The server finds out that a client is gone; or it loses the session of one that is there.
            if !isHeld && (transaction != nil || sent.contains(session)) || isHeld && mayDisturb {
                actions.append(.sessionEnds(session: session))
            }
        }
        if ledger.jobs.contains(where: { ($0.leaseUntil ?? -1) >= 0 || ($0.notBefore ?? 0) > 0 }) {
            actions.append(.timePasses)
        }
        // A schedule starts another when the last one has ended.
        let isOneLeft = coordinators.contains { $0.phase != .ended }
        if starts < scope.coordinators || !isOneLeft, !ledger.run.isFinal { actions.append(.coordinatorStarts) }
        if cancels < scope.cancels, !ledger.run.isPublished, !ledger.run.isFinal { actions.append(.cancel) }
        for (number, coordinator) in coordinators.enumerated() where coordinator.phase != .ended {
            actions.append(.coordinator(number))
        }
        if scope.mistake == .eventCompletes {
            for job in ledger.jobs.indices where ledger.jobs[job].state == .running {
                actions.append(.forgedCompletion(job: job))
            }
        }
        return actions
    }

    private func isAnswerOpen(_ worker: Worker) -> Bool { worker.session.map { sent.contains($0) } ?? false }

    // MARK: What happens then

    package func after(_ action: Action) -> FleetModel {
        var next = self
        next.perform(action)
        next.check()
        next.normalize()
        return next
    }

    private mutating func perform(_ action: Action) {
        switch action {
        case .claim(let worker, let job): claim(job, worker)
        case .begin(let worker): begin(worker)
        case .send(let number):
            guard case .working(let attempt) = workers[number].phase, let session = workers[number].session else {
                return
            }
            if isConnected(session) {
                sent.insert(session)
                workers[number].phase = .committing(attempt)
            } else {
                end(number, attempt, .retry(after: 1))
            }
        case .takeAnswer(let number):
            guard case .committing(let attempt) = workers[number].phase, let session = workers[number].session else {
                return
            }
            if isConnected(session) {
                workers[number].phase = .idle
            } else {
                end(number, attempt, .retry(after: 1))
            }
        case .end(let number, let outcome):
            disturbances += 1
            switch workers[number].phase {
            case .claimed(let attempt, _), .working(let attempt), .committing(let attempt):
                end(number, attempt, outcome)
            default: break
            }
        case .report(let number):
            guard case .reporting(let attempt, let outcome) = workers[number].phase else { return }
            report(attempt, outcome)
            workers[number].phase = .idle
        case .loseReport(let number):
            disturbances += 1
            workers[number].phase = .idle
        case .renew(let number):
            switch workers[number].phase {
            case .claimed(let attempt, _), .working(let attempt), .committing(let attempt):
                // The claim is lost: the job is stopped, its session closed, and nothing said.
                if ledger.renew([attempt], lease: 0, now: 0).isEmpty { workers[number] = Worker() }
            default: break
            }
        case .freeze(let number):
            disturbances += 1
            workers[number].isFrozen = true
        case .wake(let number): workers[number].isFrozen = false
        case .crash(let number):
            if !workers[number].isFrozen { disturbances += 1 }
            workers[number] = Worker()
        case .serverCommits(let session): serverCommits(session)
        case .sessionEnds(let session):
            if workers.contains(where: { $0.session == session }) { disturbances += 1 }
            ledger.end(session)
        case .timePasses: timePasses()
        case .coordinatorStarts:
            starts += 1
            coordinators.append((starts == 1 ? 1 : ledger.takeOwnership(), coordinatorPhase(for: ledger.run)))
        case .cancel:
            cancels += 1
            let hasManifest = ledger.hasManifest
            if scope.mistake == .failedAfterManifest { ledger.hasManifest = false }
            _ = ledger.cancel()
            ledger.hasManifest = hasManifest
        case .coordinator(let number): step(number)
        case .forgedCompletion(let job): ledger.jobs[job].state = .done
        }
    }

    func isConnected(_ session: LedgerModel.SessionID) -> Bool { ledger.sessions[session] != nil }

    private mutating func claim(_ job: Int, _ number: Int) {
        let session: LedgerModel.SessionID
        if let current = workers[number].session, isConnected(current) {
            session = current
        } else {
            session = ledger.connect()
        }
        workers[number].session = session
        guard let claim = ledger.claim(job, worker: number, session: session, lease: 0, now: 0) else { return }
        workers[number].phase = .claimed(claim.id, former: claim.former)
    }

    private mutating func begin(_ number: Int) {
        guard case .claimed(let attempt, let former) = workers[number].phase, let session = workers[number].session
        else {
            return
        }
        switch scope.mistake {
        case .noSessionIsEnded: break
        case .onlyLastSessionIsEnded: if let former { ledger.end(former) }
        default: if isConnected(session) { ledger.endSessions(before: attempt, calledIn: session) }
        }
        guard ledger.begin(attempt, in: session) else { return end(number, attempt, .retry(after: 1)) }
        begun[attempt.job] = max(begun[attempt.job], attempt.number)
        workers[number].phase = .working(attempt)
    }

    /// The worker closes its session and goes on to tell the ledger; the server may take its time to notice.
    mutating func end(_ number: Int, _ attempt: LedgerModel.AttemptID, _ outcome: JobOutcome) {
        workers[number].session = nil
        workers[number].phase = .reporting(attempt, outcome)
    }

    private mutating func report(_ attempt: LedgerModel.AttemptID, _ outcome: JobOutcome) {
        var ended = attempt
        if scope.mistake == .endIsNotGuarded { ended.number = ledger.jobs[attempt.job].attempt }
        let before = ledger.jobs[attempt.job]
        guard ledger.endAttempt(ended, outcome: outcome, now: 0) else { return }
        if scope.mistake == .interruptionCounts { ledger.jobs[attempt.job].interruptions = before.interruptions }
        if outcome == .interrupted,
            ledger.jobs[attempt.job].attempt - ledger.jobs[attempt.job].interruptions
                != before.attempt - before.interruptions - 1
        {
            violation = "an interruption counted as an attempt"
        }
        if before.attempt > attempt.number { violation = "a former attempt ended its successor" }
    }

    private mutating func serverCommits(_ session: LedgerModel.SessionID) {
        switch ledger.recordResult(in: session) {
        case .waits: break
        case .wasDoneBefore: sent.remove(session)
        case .recorded:
            sent.remove(session)
            guard let attempt = ledger.commit(session) else { return }
            if attempt.number < begun[attempt.job] {
                violation = "attempt \(attempt.number) committed after attempt \(begun[attempt.job]) had begun"
            }
            if ledger.jobs[attempt.job].state == .failed {
                violation = "a job that was given up or rejected was completed"
            }
        }
    }

    /// All leases and waits that are not over yet are over then; those that are made afterwards are not.
    private mutating func timePasses() {
        for index in ledger.jobs.indices {
            if ledger.jobs[index].leaseUntil != nil { ledger.jobs[index].leaseUntil = -1 }
            if ledger.jobs[index].notBefore != nil { ledger.jobs[index].notBefore = 0 }
        }
    }

    // MARK: What must hold

    private mutating func check() {
        if violation == nil { violation = problem }
    }

    private var problem: String? {
        for (number, job) in ledger.jobs.enumerated() {
            if job.state == .done, job.result == nil { return "job \(number) is done without a result" }
            if job.attempt - job.interruptions > ledger.plan.maxAttempts {
                return "job \(number) has too many attempts"
            }
            if job.state != .blocked, job.state != .cancelled,
                ledger.plan.jobs[number].needs.contains(where: { ledger.jobs[$0].result == nil })
            {
                return "job \(number) is \(job.state.rawValue) before what it needs is done"
            }
            let interrupted = ledger.attempts[number].count { $0.outcome == "interrupted" }
            if interrupted != job.interruptions { return "job \(number) counts \(job.interruptions) interruptions" }
            if job.state == .failed, job.attempt - job.interruptions < ledger.plan.maxAttempts,
                ledger.attempts[number].last?.outcome != "rejected"
            {
                return "job \(number) failed with attempts left"
            }
        }
        let isComplete = ledger.jobs.allSatisfy { $0.result != nil }
        if ledger.run == .verified || ledger.run.isPublished, !isComplete { return "verified without all results" }
        if ledger.run.isPublished, !isLatest { return "published, and latest names another run" }
        if isLatest, !isComplete { return "latest names a run without all results" }
        if isLatest, ledger.run == .failed || ledger.run == .cancelled {
            return "latest names a run that is \(ledger.run.rawValue)"
        }
        return nil
    }
}

package import JobModel

/// The ledger's protocol as a value: what the functions in `scripts/migrations` do with the rows of one run, stated a second
/// time without SQL. It is the specification that explorations and simulations run on, and `LedgerConformanceTests` holds it
/// against the real functions, step by step.
///
/// The server's clock is a parameter, `now`, in whole units of the caller's choice. Sessions are part of it, because a
/// take-over ends one, and because a result counts only when its transaction is committed. Each method is one committed
/// call of the function that its comment names.
package struct LedgerModel: Hashable, Sendable {
    /// A session of the server, by a number that is never given twice.
    package typealias SessionID = Int

    /// One try at a job.
    package struct AttemptID: Hashable, Sendable {
        /// The job's place in the plan.
        package var job: Int
        /// Counted from 1.
        package var number: Int

        package init(job: Int, number: Int) {
            self.job = job
            self.number = number
        }
    }

    /// What is fixed when the job graph is written.
    package final class Plan: Hashable, Sendable {
        /// One job.
        package struct Job: Sendable {
            /// The jobs that must have their results before.
            package var needs: [Int]
            /// The longest is handed out first; among equals the lower number.
            package var expectedSeconds: Int

            package init(needs: [Int] = [], expectedSeconds: Int = 1) {
                self.needs = needs
                self.expectedSeconds = expectedSeconds
            }
        }

        /// All jobs, in the order of their ids.
        package let jobs: [Job]
        /// `BDA_MAX_ATTEMPTS`.
        package let maxAttempts: Int
        /// The jobs, the longest first.
        let longestFirst: [Int]

        package init(_ jobs: [Job], maxAttempts: Int) {
            self.jobs = jobs
            self.maxAttempts = maxAttempts
            longestFirst = jobs.indices.sorted {
                (-jobs[$0].expectedSeconds, $0) < (-jobs[$1].expectedSeconds, $1)
            }
        }

        package static func == (left: Plan, right: Plan) -> Bool { left === right }

        package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
    }

    /// A row of `bda.job`, and the row of `bda.result` with the same key.
    package struct Job: Hashable, Sendable {
        package var state = JobState.blocked
        /// The last try, 0 before the first.
        package var attempt = 0
        /// Tries that do not count.
        package var interruptions = 0
        /// When its backoff is over.
        package var notBefore: Int?
        /// When its request went out.
        package var publishedAt: Int?
        package var leaseUntil: Int?
        /// The session that made the claim; nil between attempts.
        package var session: SessionID?
        /// The number of the attempt whose result is committed.
        package var result: Int?
    }

    /// A row of `bda.attempt`. It tells what happened; the protocol reads only which session it was.
    package struct Attempt: Hashable, Sendable {
        /// Who made it.
        package var worker: Int
        /// The session that made the claim.
        package var session: SessionID
        /// `JobOutcome.name`; nil while it is under way.
        package var outcome: String?
    }

    /// What a claim brings.
    package struct Claim: Hashable, Sendable {
        /// The try at the job.
        package var id: AttemptID
        /// How many are left after it.
        package var attemptsLeft: Int
        /// The session of the attempt whose lease ran out, if there is one.
        package var former: SessionID?
    }

    /// The transaction of a session that does work.
    package enum Transaction: Hashable, Sendable {
        case open(AttemptID)
        /// The result is inserted, and not committed.
        case recorded(AttemptID)
    }

    /// What `bda.record_result` says.
    package enum Recording: Hashable, Sendable {
        case recorded
        /// A unique violation: the transaction is aborted.
        case wasDoneBefore
        /// Another session has inserted the job's result and not committed: the call waits for its end.
        case waits
    }

    /// A coordinator called that may not change the run.
    package enum NotOwner: Error {
        /// BDA02: another coordinator owns it.
        case another
        /// BDA03.
        case cancelled
    }

    /// The run's graph.
    package let plan: Plan
    /// The run's state.
    package var run = RunState.running
    /// The number of the coordinator that owns the run.
    package var owner = 1
    /// Whether the run's manifest is noted: from then on `latest` may name it.
    package var hasManifest = false
    /// In the plan's order.
    package var jobs: [Job]
    /// All tries at each job, in their order.
    package var attempts: [[Attempt]]
    /// The sessions that are connected, and the transaction of each.
    package var sessions: [SessionID: Transaction?] = [:]
    private var lastSession = 0

    /// A run whose graph has just been written.
    package init(_ plan: Plan) {
        self.plan = plan
        jobs = Array(repeating: Job(), count: plan.jobs.count)
        attempts = Array(repeating: [], count: plan.jobs.count)
    }

    // MARK: Sessions

    package mutating func connect() -> SessionID {
        lastSession += 1
        sessions[lastSession] = .some(nil)
        return lastSession
    }

    /// Ends a session, whoever wants it: what it has not committed is gone.
    package mutating func end(_ session: SessionID) { sessions[session] = nil }

    /// Begins the work of an attempt in a transaction. False: the session is gone.
    package mutating func begin(_ attempt: AttemptID, in session: SessionID) -> Bool {
        guard sessions[session] != nil else { return false }
        sessions[session] = .some(.open(attempt))
        return true
    }

    /// `bda.record_result`, in the session's transaction.
    package mutating func recordResult(in session: SessionID) -> Recording {
        guard case .some(.some(.open(let attempt))) = sessions[session] else { return .wasDoneBefore }
        if jobs[attempt.job].result != nil {
            sessions[session] = .some(nil)
            return .wasDoneBefore
        }
        for case .some(.recorded(let other)) in sessions.values where other.job == attempt.job { return .waits }
        sessions[session] = .some(.recorded(attempt))
        return .recorded
    }

    package mutating func rollBack(_ session: SessionID) {
        if sessions[session] != nil { sessions[session] = .some(nil) }
    }

    /// Commits what `recordResult` inserted, and returns which attempt's it was.
    @discardableResult
    package mutating func commit(_ session: SessionID) -> AttemptID? {
        guard case .some(.some(.recorded(let attempt))) = sessions[session] else { return nil }
        sessions[session] = .some(nil)
        jobs[attempt.job].result = attempt.number
        return attempt
    }

    // MARK: Workers

    /// `bda.claim`: the named job, unless a ready or lost one waits that takes more than twice as long; without a name the
    /// one that takes longest of all that can be had.
    package mutating func claim(
        _ job: Int?, worker: Int, session: SessionID, lease: Int, now: Int
    ) -> Claim? {
        guard run == .running else { return nil }
        let longest = plan.longestFirst.first { isClaimable($0, now: now) }
        guard let job else { return longest.map { take($0, worker, session, lease, now) } }
        guard isClaimable(job, now: now), let longest else { return nil }
        let isMuchLonger = plan.jobs[longest].expectedSeconds > 2 * plan.jobs[job].expectedSeconds
        return take(jobs[job].state == .ready && isMuchLonger ? longest : job, worker, session, lease, now)
    }

    /// Whether a claim gets the job while the run is running.
    package func isClaimable(_ number: Int, now: Int) -> Bool {
        let job = jobs[number]
        return job.result == nil && countedAttempts(of: job) < plan.maxAttempts
            && (job.state == .ready && isOver(job.notBefore, now) || job.state == .running && isLeaseOver(job, now))
    }

    private mutating func take(_ number: Int, _ worker: Int, _ session: SessionID, _ lease: Int, _ now: Int) -> Claim {
        var job = jobs[number]
        let former = job.state == .running ? job.session : nil
        if job.state == .running { endAttempt(AttemptID(job: number, number: job.attempt), as: "lost") }
        job.state = .running
        job.attempt += 1
        job.notBefore = nil
        job.leaseUntil = now + lease
        job.session = session
        jobs[number] = job
        attempts[number].append(Attempt(worker: worker, session: session))
        return Claim(
            id: AttemptID(job: number, number: job.attempt),
            attemptsLeft: plan.maxAttempts - countedAttempts(of: job), former: former)
    }

    /// `bda.end_sessions`: ends the sessions of the attempts at a job that came before the numbered one, unless the job is
    /// done, when they may be doing others. It never ends the session that it is called in.
    package mutating func endSessions(before attempt: AttemptID, calledIn own: SessionID? = nil) {
        if jobs[attempt.job].result != nil { return }
        for earlier in attempts[attempt.job].prefix(attempt.number - 1) where earlier.session != own {
            end(earlier.session)
        }
    }

    /// `bda.renew`: the attempts that still hold their jobs.
    package mutating func renew(_ held: [AttemptID], lease: Int, now: Int) -> [AttemptID] {
        guard run == .running else { return [] }
        let mine = held.filter { jobs[$0.job].attempt == $0.number && jobs[$0.job].state == .running }
        for attempt in mine { jobs[attempt.job].leaseUntil = now + lease }
        return mine
    }

    /// `bda.end_attempt`: no session that has tried the job can complete it afterwards. False: the claim was lost before,
    /// or the job is done.
    ///
    /// - Parameter outcome: `retry`, `rejected` or `interrupted`.
    package mutating func endAttempt(_ attempt: AttemptID, outcome: JobOutcome, now: Int) -> Bool {
        var job = jobs[attempt.job]
        guard job.attempt == attempt.number, job.state == .running, job.result == nil else { return false }
        endSessions(before: AttemptID(job: attempt.job, number: attempt.number + 1))
        job.state = .ready
        job.notBefore = nil
        switch outcome {
        case .retry(let seconds):
            if countedAttempts(of: job) >= plan.maxAttempts { job.state = .failed }
            job.notBefore = now + Int(seconds)
        case .interrupted: job.interruptions += 1
        default: job.state = .failed
        }
        job.publishedAt = nil
        job.leaseUntil = nil
        job.session = nil
        jobs[attempt.job] = job
        attempts[attempt.job][attempt.number - 1].outcome = outcome.name
        return true
    }

    // MARK: Coordinators

    /// Makes a new coordinator the owner of the run and returns its number.
    package mutating func takeOwnership() -> Int {
        owner += 1
        return owner
    }

    /// `bda.advance`: its three statements, one after the other.
    package mutating func advance(owner number: Int, now: Int) throws(NotOwner) -> [JobState: Int] {
        try settle(owner: number)
        giveUp(now: now)
        return readyJobs()
    }

    /// Jobs with a result are done.
    package mutating func settle(owner number: Int) throws(NotOwner) {
        try assertOwner(number)
        settleResults()
    }

    /// `bda.assert_owner`.
    private func assertOwner(_ number: Int) throws(NotOwner) {
        if run == .cancelled { throw .cancelled }
        if number != owner { throw .another }
    }

    private mutating func settleResults() {
        for index in jobs.indices {
            guard let result = jobs[index].result, jobs[index].state != .done else { continue }
            jobs[index].state = .done
            jobs[index].leaseUntil = nil
            jobs[index].session = nil
            // Others may have begun before the result was there, and will find it.
            for attempt in attempts[index].indices where attempts[index][attempt].outcome == nil {
                attempts[index][attempt].outcome = "lost"
            }
            attempts[index][result - 1].outcome = "completed"
        }
    }

    /// The last attempts whose lease ran out are lost, once their sessions are gone.
    package mutating func giveUp(now: Int) {
        for index in jobs.indices {
            let job = jobs[index]
            guard job.state == .running, isLeaseOver(job, now), countedAttempts(of: job) >= plan.maxAttempts,
                job.result == nil
            else { continue }
            endSessions(before: AttemptID(job: index, number: job.attempt + 1))
            jobs[index].state = .failed
            jobs[index].leaseUntil = nil
            endAttempt(AttemptID(job: index, number: job.attempt), as: "lost")
        }
    }

    /// Jobs that wait for nothing any more are ready. Returns how many are in each state.
    package mutating func readyJobs() -> [JobState: Int] {
        for index in jobs.indices where jobs[index].state == .blocked {
            if plan.jobs[index].needs.allSatisfy({ jobs[$0].state == .done }) { jobs[index].state = .ready }
        }
        return jobs.reduce(into: [:]) { $0[$1.state, default: 0] += 1 }
    }

    /// `bda.take_due_requests`: the jobs whose request goes to the wire now, the longest first.
    package mutating func takeDueRequests(owner number: Int, again: Int, now: Int) throws(NotOwner) -> [Int] {
        try assertOwner(number)
        let due = plan.longestFirst.filter { index in
            let job = jobs[index]
            return job.state == .ready && isOver(job.notBefore, now) && job.publishedAt == nil
                || job.state == .running && isLeaseOver(job, now) && job.publishedAt.map { $0 < now - again } ?? true
        }
        for index in due { jobs[index].publishedAt = now }
        return due
    }

    /// `bda.enter_state`. False: the run is not in the state that the step comes from.
    package mutating func enterState(owner number: Int, from: RunState, to: RunState) throws(NotOwner) -> Bool {
        try assertOwner(number)
        guard run == from else { return false }
        run = to
        if to.isFinal { cancelJobs() }
        return true
    }

    /// `bda.fail_run`. False: the run has ended, or `latest` may name it already.
    package mutating func fail(owner number: Int) throws(NotOwner) -> Bool {
        try assertOwner(number)
        guard run == .running || run == .verified, !hasManifest else { return false }
        run = .failed
        cancelJobs()
        return true
    }

    /// `bda.cancel_run`. False: the run has ended, or `latest` may name it already; nothing has changed.
    package mutating func cancel() -> Bool {
        guard run == .running || run == .verified, !hasManifest else { return false }
        run = .cancelled
        owner += 1
        cancelJobs()
        return true
    }

    /// `bda.cancel_jobs`, in the transaction that ends the run.
    private mutating func cancelJobs() {
        settleResults()
        for index in jobs.indices where [.blocked, .ready, .running].contains(jobs[index].state) {
            if jobs[index].state == .running {
                endAttempt(AttemptID(job: index, number: jobs[index].attempt), as: "lost")
            }
            jobs[index].state = .cancelled
            jobs[index].leaseUntil = nil
            jobs[index].notBefore = nil
            jobs[index].session = nil
        }
    }

    // MARK: Rules

    private func countedAttempts(of job: Job) -> Int { job.attempt - job.interruptions }

    private func isOver(_ time: Int?, _ now: Int) -> Bool { time.map { $0 <= now } ?? true }

    private func isLeaseOver(_ job: Job, _ now: Int) -> Bool { job.leaseUntil.map { $0 < now } ?? false }

    private mutating func endAttempt(_ attempt: AttemptID, as outcome: String) {
        let row = attempts[attempt.job][attempt.number - 1]
        if row.outcome == nil { attempts[attempt.job][attempt.number - 1].outcome = outcome }
    }
}

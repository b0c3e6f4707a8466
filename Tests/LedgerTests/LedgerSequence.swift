import Foundation
import JobModel
import Ledger
import Postgres
import TestSupport
import Testing
import Warehouse

/// One run of five jobs in the ledger and in the model.
struct LedgerSequence {
    /// A claim as either side has it.
    struct Held {
        var real: Claim
        var model: LedgerModel.Claim
        var session: LedgerModel.SessionID
    }

    static let mustHappen = [
        "claim won", "claim refused", "claim took over", "claim of a longer one", "begin ok", "begin on a dead session",
        "record ok",
        "record done before", "commit", "roll back", "close", "renew held", "renew lost", "end ok", "end refused",
        "advance", "advance refused", "advance gave up", "due some", "due none", "owner", "step entered",
        "step refused",
        "failed", "fail refused", "cancelled", "cancel refused", "manifest noted", "advance of a cancelled run", "time",
    ]

    let role: PostgresConfiguration
    let ledger: Ledger
    let control: PostgresSession
    var run: RunRecord
    let jobs: [JobID]
    var model: LedgerModel
    var now = 0
    var generator: SplitMix64
    var sessions: [LedgerModel.SessionID: PostgresSession] = [:]
    var backends: [String: LedgerModel.SessionID] = [:]
    var transactions: [LedgerModel.SessionID: String] = [:]
    var held: [Held] = []
    var seen: [String: Int] = [:]
    var history: [String] = []
    var steps = 0

    init(
        seed: Int, role: PostgresConfiguration, ledger: Ledger, control: PostgresSession, pool: [PostgresSession]
    ) async throws {
        self.role = role
        self.ledger = ledger
        self.control = control
        generator = SplitMix64(seed: UInt64(seed))
        // A client of its own: no other sequence's jobs can be had.
        let runID = RunID(millisecondsSince1970: 1_775_013_300_000 + Int64(seed), using: &generator)
        run = RunRecord(
            runID: runID, clientID: "client\(seed)", environment: "dev", businessDate: try BusinessDate("2026-03-31"),
            cutoff: "2026-04-01T03:00:00.000Z", systems: ["tripica"], isCompleteSet: true,
            settings: .test(partitionCount: 2, maxAttempts: 2), owner: "test", snapshotID: nil)
        try await ledger.runs.insert(run)
        let names = try ["tripica.a", "tripica.b", "tripica.c"].map { try SegmentName($0) }
        let segments = [
            Segment(name: names[0], kind: .`init`, reads: .run),
            Segment(name: names[1], kind: .`init`, needs: [names[0]], reads: .run),
            Segment(name: names[2], kind: .`init`, needs: [names[1]], split: .none, reads: .run),
        ]
        let graph = JobGraph(segments: segments, systems: ["tripica"], partitionCount: 2)
        try await ledger.jobs.insertGraph(
            graph,
            jobs: graph.segments.map {
                PlannedJobs(segment: $0.name, jobs: Array(repeating: (nil, nil), count: graph.jobCount(of: $0)))
            }, for: run)
        // In the order of their ids: a0, a1, b0 after a0, b1 after a1, c after both b; the second of a pair is the longer.
        jobs = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)].map { JobID(run: runID, segment: names[$0.0], partition: $0.1) }
        let plan: [LedgerModel.Plan.Job] = [
            .init(expectedSeconds: 1), .init(expectedSeconds: 3), .init(needs: [0], expectedSeconds: 1),
            .init(needs: [1], expectedSeconds: 3), .init(needs: [2, 3], expectedSeconds: 1),
        ]
        try await control.execute(
            "UPDATE bda.job SET expected_seconds = 2 * partition_no + 1 WHERE run_id = \(SQL.literal("\(runID)"))",
            action: "set the expected times")
        model = LedgerModel(LedgerModel.Plan(plan, maxAttempts: 2))
        for session in pool { try await add(session) }
    }

    /// Ends the run, so that the next one can begin, and hands over the sessions that are left.
    mutating func end() async throws -> [PostgresSession] {
        var rest: [PostgresSession] = []
        for (id, session) in sessions.sorted(by: { $0.key < $1.key }) {
            if model.sessions[id] == .some(nil) { rest.append(session) } else { await session.close() }
        }
        return rest
    }

    mutating func add(_ session: PostgresSession) async throws {
        let id = model.connect()
        sessions[id] = session
        let backend = try await session.backend()
        backends["\(backend.pid) \(backend.start)"] = id
    }

    mutating func random(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

    mutating func note(_ what: String, _ detail: String = "") {
        seen[what, default: 0] += 1
        history.append(detail.isEmpty ? what : "\(what) \(detail)")
    }

    // MARK: One call

    /// Calls something on both sides and compares.
    mutating func step() async throws {
        steps += 1
        // Steps of the run that come early leave nothing to claim.
        switch random(steps < 40 ? 60 : 70) {
        case 0...15: try await claim(random(3) == 0 ? nil : random(jobs.count))
        case 16...25: try await begin()
        case 26...33: try await record()
        case 34...37: try await commit()
        case 38: try await leave()
        case 39...41: try await renew()
        case 42...45: try await endAttempt()
        case 46...52: try await advance()
        case 53...54: try await takeDueRequests()
        case 55...58: try await passTime()
        default: try await changeRun()
        }
        try await compare()
    }

    mutating func claim(_ job: Int?) async throws {
        let free = model.sessions.filter { $0.value == nil }.keys.sorted()
        if free.count < 2 { try await add(try await PostgresSession.connect(role, purpose: "test work")) }
        let idle = model.sessions.filter { $0.value == nil }.keys.sorted()
        let session = idle[random(idle.count)]
        let real = try await ledger.jobs.claim(
            job.map { jobs[$0] }, clientID: run.clientID, environment: "dev", workerID: "w",
            backend: try await sessions[session]!.backend(), leaseSeconds: 150)
        let expected = model.claim(job, worker: 0, session: session, lease: 150, now: now)
        guard let real, let expected else {
            try same(real?.jobID.description, expected.map { "\($0.id)" }, "claim \(job as Any)")
            return note("claim refused")
        }
        note(expected.former == nil ? "claim won" : "claim took over", "\(expected.id) by session \(session)")
        if let job, job != expected.id.job { note("claim of a longer one") }
        try same(real.jobID, jobs[expected.id.job], "claimed job")
        try same(real.attempt, expected.id.number, "attempt")
        try same(real.attemptsLeft, expected.attemptsLeft, "attempts left")
        try same(real.former.map { backends["\($0.pid) \($0.start)"] ?? -1 }, expected.former, "former session")
        held.append(Held(real: real, model: expected, session: session))
    }

    /// Begins the work of any claim there ever was, whose session may be gone by now.
    mutating func begin() async throws {
        guard !held.isEmpty else { return }
        let claim = held[held.count - 1 - random(min(4, held.count))]
        if case .some(.some) = model.sessions[claim.session] { return }
        guard let session = sessions[claim.session] else { return }
        do {
            if claim.model.id.number > 1 {
                let areGone = try await session.query(
                    "SELECT bda.end_sessions($1, $2::int, 5000)",
                    [claim.real.jobID.description, "\(claim.real.attempt)"], action: "end the former sessions")
                try same(areGone.firstValue, "t", "former sessions")
            }
            transactions[claim.session] = try await WorkTransaction.begin(in: session, snapshotID: nil)
        } catch let error as PostgresError {
            try same(error.isConnectionLost, true, "\(error)")
        }
        if model.sessions[claim.session] != nil { model.endSessions(before: claim.model.id, calledIn: claim.session) }
        let isBegun = model.begin(claim.model.id, in: claim.session)
        try same(await session.isConnected, isBegun, "begun")
        note(isBegun ? "begin ok" : "begin on a dead session", "\(claim.model.id)")
        if !isBegun { await drop(claim.session) }
    }

    mutating func drop(_ session: LedgerModel.SessionID) async {
        await sessions[session]?.close()
        sessions[session] = nil
    }

    mutating func record() async throws {
        let open = model.sessions.filter { if case .some(.open) = $0.value { true } else { false } }.keys.sorted()
        guard !open.isEmpty else { return }
        let id = open[random(open.count)]
        guard case .some(.some(.open(let attempt))) = model.sessions[id], let session = sessions[id] else { return }
        var next = model
        let expected = next.recordResult(in: id)
        // The real one would wait for the other session's end.
        guard expected != .waits else { return }
        model = next
        var recording = LedgerModel.Recording.recorded
        do {
            try await session.execute(
                """
                SELECT bda.record_result(\(SQL.literal(jobs[attempt.job].description)), \(attempt.number), 'w',
                                         \(SQL.literal(transactions[id] ?? "")), 1, 2, 3, '[]', '[]')
                """, action: "record")
        } catch let error as PostgresError where error.isUniqueViolation {
            recording = .wasDoneBefore
            try await session.execute("ROLLBACK", action: "roll back")
        }
        try same(recording, expected, "recording")
        note(expected == .recorded ? "record ok" : "record done before", "\(attempt)")
    }

    mutating func commit() async throws {
        let recorded = model.sessions.filter { if case .some(.recorded) = $0.value { true } else { false } }.keys
            .sorted()
        guard !recorded.isEmpty else { return }
        let id = recorded[random(recorded.count)]
        if random(4) == 0 {
            try await sessions[id]!.execute("ROLLBACK", action: "roll back")
            model.rollBack(id)
            note("roll back", "\(id)")
        } else {
            try await sessions[id]!.execute("COMMIT", action: "commit")
            note("commit", "\(model.commit(id)!)")
        }
    }

    /// A client goes, and its server notices.
    mutating func leave() async throws {
        let all = model.sessions.keys.sorted()
        guard !all.isEmpty else { return }
        let id = all[random(all.count)]
        let backend = try await sessions[id]!.backend()
        await drop(id)
        let isGone = try await control.query(
            "SELECT bda.end_backend($1::int, $2::timestamptz, 5000)", ["\(backend.pid)", backend.start],
            action: "wait for the end of a session")
        try same(isGone.firstValue, "t", "session")
        model.end(id)
        note("close", "\(id)")
    }

    mutating func renew() async throws {
        let some = held.suffix(6).filter { _ in random(2) == 0 }
        guard !some.isEmpty else { return }
        let real = try await ledger.jobs.renew(some.map { ($0.real, 0) }, leaseSeconds: 150)
        let expected = model.renew(some.map(\.model.id), lease: 150, now: now)
        // The caller counts the last claim of a job that is done as held, too.
        let done = some.map(\.model.id).filter {
            model.jobs[$0.job].state == .done && model.jobs[$0.job].attempt == $0.number
        }
        try same(real, Set((expected + done).map { jobs[$0.job] }), "renewed")
        if !expected.isEmpty { note("renew held", "\(expected)") }
        if Set(expected).count < Set(some.map(\.model.id)).count { note("renew lost") }
    }

    mutating func endAttempt() async throws {
        guard !held.isEmpty else { return }
        let claim = held[held.count - 1 - random(min(5, held.count))]
        // One that has inserted its result keeps its row; whoever ends the attempt ends its session.
        let outcome = [JobOutcome.retry(after: 50), .retry(after: 50), .interrupted, .rejected][random(4)]
        let real = try await ledger.jobs.endAttempt(claim.real, outcome: outcome, code: "x", message: "m", hint: nil)
        let expected = model.endAttempt(claim.model.id, outcome: outcome, now: now)
        try same(real, expected, "end of an attempt")
        note(expected ? "end ok" : "end refused", "\(claim.model.id) \(outcome.name)")
    }

    /// The present owner's number, or another's.
    mutating func owner() -> (record: RunRecord, number: Int) {
        var record = run
        record.ownerNumber = random(8) == 0 ? model.owner - 1 : model.owner
        return (record, record.ownerNumber)
    }

    mutating func advance() async throws {
        let (record, number) = owner()
        let failed = model.jobs.count { $0.state == .failed }
        var expected: [JobState: Int]?
        var refusal: LedgerModel.NotOwner?
        do { expected = try model.advance(owner: number, now: now) } catch { refusal = error }
        do {
            let real = try await ledger.jobs.advance(record)
            let counts: [JobState: Int] = [
                .blocked: real.blocked, .ready: real.ready, .running: real.running, .done: real.done,
                .failed: real.failed, .cancelled: real.cancelled,
            ]
            try same(counts.filter { $0.value > 0 }, expected, "counts")
            note("advance", "at \(now)")
        } catch {
            try same(try Self.refusal(error), refusal, "owner")
            note("advance refused")
            if refusal == .cancelled { note("advance of a cancelled run") }
        }
        if model.jobs.count(where: { $0.state == .failed }) > failed { note("advance gave up") }
    }

    mutating func takeDueRequests() async throws {
        var record = run
        record.ownerNumber = model.owner
        var expected: [Int] = []
        var refusal: LedgerModel.NotOwner?
        do { expected = try model.takeDueRequests(owner: model.owner, again: 5, now: now) } catch { refusal = error }
        do {
            let due = try await ledger.jobs.takeDueRequests(record)
            try same(due, expected.map { jobs[$0] }, "due")
        } catch {
            return try same(try Self.refusal(error), refusal, "owner of the due requests")
        }
        note(expected.isEmpty ? "due none" : "due some", "\(expected)")
    }

    mutating func changeRun() async throws {
        switch random(10) {
        case 0...3:
            try same(try await ledger.runs.takeOwnership(of: run.runID, owner: "x"), model.takeOwnership(), "owner")
            note("owner")
        case 4:
            let (record, number) = owner()
            var expected: Bool?
            do { expected = try model.fail(owner: number) } catch {}
            var real: Bool?
            do {
                real = try await ledger.runs.fail(record, exitCode: 11, reason: "", hint: nil)
            } catch { _ = try Self.refusal(error) }
            try same(real, expected, "failure")
            note(expected == true ? "failed" : "fail refused")
        case 5:
            let expected = model.cancel()
            let real = try await ledger.runs.cancel(run.runID, by: "cancel", exitCode: 30, reason: "")
            try same(real?.isCancelled, expected, "cancellation")
            try same(real?.state, model.run, "state after a cancellation")
            note(expected ? "cancelled" : "cancel refused")
        case 6:
            guard random(3) == 0 else { return }
            let (record, number) = owner()
            do {
                try await ledger.runs.setManifest(uri: "u", sha256: "s", replaces: nil, of: record)
                model.hasManifest = true
                try same(number, model.owner, "owner of the manifest")
                note("manifest noted")
            } catch {
                let refusal = try Self.refusal(error)
                try same(refusal, model.run == .cancelled ? .cancelled : .another, "manifest")
            }
        default:
            let (record, number) = owner()
            let from = random(2) == 0 ? model.run : RunState.allCases[random(RunState.allCases.count)]
            let to = from.next ?? .closed
            var expected: Bool?
            do { expected = try model.enterState(owner: number, from: from, to: to) } catch {}
            var real: Bool?
            do {
                real = try await ledger.runs.enterState(record, from: from, to: to)
            } catch { _ = try Self.refusal(error) }
            try same(real, expected, "step")
            note(expected == true ? "step entered" : "step refused", "\(from) to \(to)")
        }
    }

    /// What the ledger said instead of an answer; any other error is thrown on.
    static func refusal(_ error: any Error) throws -> LedgerModel.NotOwner {
        switch error {
        case is OwnershipLost: .another
        case is RunCancelled: .cancelled
        default: throw error
        }
    }

    mutating func passTime() async throws {
        now += 100
        try await control.execute(
            """
            UPDATE bda.job SET lease_until = lease_until - interval '100 s', not_before = not_before - interval '100 s',
                published_at = published_at - interval '100 s' WHERE run_id = \(SQL.literal(run.runID.description))
            """, action: "let time pass")
        note("time")
    }
}

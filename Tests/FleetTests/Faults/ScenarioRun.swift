import Foundation
import Glibc
import JobModel
import Kafka
import ObjectStore
import Postgres
import Logging
import Settings
import Testing
import TestSupport

/// Plays one scenario: a fleet behind proxies, a schedule that starts the coordinator again until the date is complete, a
/// supervisor that starts dead workers again, and the faults, each at its moment.
actor ScenarioRun {
    let scenario: Scenario
    let fleet: Fleet
    let reference: PublishedExport
    let observer: Observer
    let recorder = WireRecorder()
    let store: StoreProxy
    /// Whatever must not have happened, for people.
    var problems: [String] = []
    /// How programs ended, and faults that came too late, for people.
    private(set) var notes: [String] = []

    private let gates: Gates
    private let broker: TCPProxy
    private let coordinatorLine: TCPProxy
    private var workerLines: [String: TCPProxy] = [:]
    private var workers: [String: Program] = [:]
    /// Workers that are started again when they end.
    private var wanted: Set<String> = []
    private(set) var coordinator: Program?
    /// Coordinators that were frozen and woken, or replaced, and must end by themselves.
    private var replaced: [Program] = []
    /// Programs that sleep until the date is complete.
    private var sleepers: [Program] = []
    private var frozenToTheEnd = 0
    private var coordinatorStarts = 0
    private var killed: Set<pid_t> = []
    private(set) var isComplete = false
    /// Every run that `latest` has named.
    private(set) var runsShown: Set<String> = []
    /// What undoes the faults, when all have happened.
    private var healings: [@Sendable () async throws -> Void] = []
    /// What is looked at when the date is complete.
    private var aftermath: [@Sendable () async throws -> Void] = []

    private static let limit = Duration.seconds(60)

    /// A session that the test of the judgement leaves open.
    var saboteur: PostgresSession?

    /// Opens the proxies. `end` must be called.
    init(_ scenario: Scenario, _ fleet: Fleet, reference: PublishedExport) throws {
        let variables = ProcessInfo.processInfo.environment
        self.scenario = scenario
        self.fleet = fleet
        self.reference = reference
        observer = Observer(fleet.administrator)
        gates = Gates(fleet.administrator)
        guard let advertised = variables["BDA_TEST_KAFKA_PROXY_PORT"].flatMap({ Int($0) }),
            let behind = variables["BDA_TEST_KAFKA_BEHIND_PROXY_PORT"].flatMap({ Int($0) }),
            let storePort = fleet.environment["BDA_S3_ENDPOINT"].flatMap({ URLComponents(string: $0)?.port }),
            let database = fleet.environment["BDA_DB_PORT"].flatMap({ Int($0) })
        else { throw Overdue(what: "the ports of servers are not set", limit: .zero, context: "") }
        broker = try TCPProxy(port: advertised, to: behind)
        store = try StoreProxy(to: storePort)
        coordinatorLine = try TCPProxy(to: database)
        for number in 1...scenario.workers + 1 {
            workerLines["worker\(number)"] = try TCPProxy(to: database)
        }
    }

    /// Ends proxies and sessions.
    func end() async {
        await saboteur?.close()
        await recorder.end()
        await gates.end()
        await observer.close()
        for proxy in [broker, coordinatorLine] + Array(workerLines.values) { proxy.close() }
        store.close()
    }

    // MARK: The story

    /// Plays it until the date is complete and the fleet has ended.
    func play() async throws {
        let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
        try await recorder.start([topics.jobs, topics.events, topics.runs], on: fleet.kafka)
        for number in 1...scenario.workers { try startWorker("worker\(number)") }
        let supervisor = Task { try await superviseWorkers() }
        let reader = Task { try await followLatest() }
        do {
            if scenario.replacesRun { try await fleet.run(settings: line(of: nil)).succeeds() }
            try await gates.close(Set(scenario.faults.map(\.moment).filter { $0 != .start }))
            for fault in scenario.faults where fault.moment == .start { try await happen(fault) }
            let schedule = Task { try await keepCoordinating() }
            defer { schedule.cancel() }
            for moment in Moment.running {
                let faults = scenario.faults.filter { $0.moment == moment }
                if faults.isEmpty { continue }
                if try await reached(moment) {
                    for fault in faults { try await happen(fault) }
                } else {
                    notes.append("missed \(moment)")
                }
                try await gates.open(moment)
            }
            for heal in healings { try await heal() }
            try await untilComplete(schedule)
        } catch {
            supervisor.cancel()
            reader.cancel()
            _ = await supervisor.result
            _ = await reader.result
            throw error
        }
        for look in aftermath { try await look() }
        supervisor.cancel()
        try await supervisor.value
        reader.cancel()
        if let problem = try await reader.value { problems.append(problem) }
        try await endPrograms()
    }

    /// Waits until the run stands still at a moment. False when it has ended before.
    private func reached(_ moment: Moment) async throws -> Bool {
        let deadline = ContinuousClock.now + Self.limit
        while !isComplete {
            let stands = try await observer.says(
                """
                SELECT EXISTS (
                    SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = \(moment.lock)
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
                """)
            if stands { return true }
            guard ContinuousClock.now < deadline else { return false }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    private func untilComplete(_ schedule: Task<Void, any Error>) async throws {
        let deadline = ContinuousClock.now + Self.limit * 2
        while !isComplete {
            guard ContinuousClock.now < deadline else {
                schedule.cancel()
                throw Overdue(
                    what: "the faults are over and the date is not complete", limit: Self.limit * 2,
                    context: coordinator?.report.rawValue ?? "")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        try await schedule.value
    }

    // MARK: Programs

    /// The way from a program to the servers, through the proxies.
    private func line(of worker: String?) -> [String: String] {
        let database = worker.flatMap { workerLines[$0] } ?? coordinatorLine
        var settings = [
            "BDA_DB_PORT": "\(database.port)", "BDA_S3_ENDPOINT": "http://127.0.0.1:\(store.port)",
            "BDA_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:\(broker.port)",
        ]
        if scenario.faults.contains(where: { $0.kind == .commitReplyLost }) {
            // The proxy looks for a text in what it passes on.
            settings["BDA_DB_SSLMODE"] = "disable"
        }
        for fault in scenario.faults where fault.kind == .clockAhead || fault.kind == .clockBehind {
            // One of the workers, or the coordinator.
            let number = fault.choice % (scenario.workers + 1)
            guard (number == 0 ? nil : "worker\(number)") == worker else { continue }
            // A coordinator is started again on another host, whose clock is right.
            guard number > 0 || coordinatorStarts % 2 == 1 else { continue }
            // Within and beyond the quarter of an hour that S3 allows.
            let seconds = [40, 240, 3600, 40_000][fault.choice / 10 % 4]
            settings["LD_PRELOAD"] = Self.clockLibrary
            settings["BDA_TEST_CLOCK_OFFSET"] = "\(fault.kind == .clockAhead ? seconds : -seconds)"
        }
        return settings
    }

    /// The library that shifts a program's clock.
    private static let clockLibrary = ProcessInfo.processInfo.environment["BDA_TEST_WRONG_CLOCK"]

    private func startWorker(_ name: String) throws {
        workers[name] = try fleet.worker(name, settings: line(of: name))
        wanted.insert(name)
    }

    /// Starts workers again that have ended, as an orchestrator does.
    private func superviseWorkers() async throws {
        while !Task.isCancelled {
            for name in wanted.sorted() {
                guard let program = workers[name], let ending = program.ending else { continue }
                judge(program, ending, mayEndWith: [0, 20, 21, 22, 32])
                try startWorker(name)
            }
            do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
        }
    }

    /// Starts the coordinator again until it says that the date is complete, as a schedule does.
    private func keepCoordinating() async throws {
        while !Task.isCancelled {
            // Who finds a frozen one holding the date repeats the take-over until it is done.
            let program = try startCoordinator(takesOver: replaced.contains { $0.ending == nil })
            coordinator = program
            try await follow(program)
            if isComplete { return }
            do { try await Task.sleep(for: .milliseconds(300)) } catch { return }
        }
    }

    private func startCoordinator(takesOver: Bool) throws -> Program {
        coordinatorStarts += 1
        return try fleet.coordinator(
            ["run", "--date", SampleWarehouse.date] + (scenario.replacesRun ? ["--new"] : [])
                + (takesOver ? ["--takeover"] : []), settings: line(of: nil))
    }

    /// Waits for the end of a coordinator, or of the one that has taken its place.
    private func follow(_ program: Program) async throws {
        var program = program
        while true {
            while program.ending == nil, coordinator === program, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(20))
            }
            guard let successor = coordinator, successor !== program else { break }
            program = successor
        }
        guard let ending = program.ending else { return }
        judge(program, ending, mayEndWith: [0, 11, 13, 14, 20, 21, 22, 30, 31])
        switch ending {
        case .exit(0): isComplete = true
        case .exit(let code) where [11, 13, 14].contains(code):
            let reason = try await observer.value(
                "SELECT reason FROM bda.run WHERE state = 'failed' AND exit_code = \(code) ORDER BY ended_at DESC LIMIT 1"
            )
            if reason?.isEmpty != false { problems.append("\(program.name) ended with \(code), its run has no reason") }
        default: break
        }
    }

    /// Notes how a program ended, and whether it may end so.
    private func judge(_ program: Program, _ ending: Program.Ending, mayEndWith codes: Set<Int32>) {
        switch ending {
        case .exit(let code):
            if code != 0 { notes.append("\(program.name): \(code)") }
            let saysWhy = code == 0 || code == 32 || program.errorText.contains("bda-")
            guard codes.contains(code), saysWhy else {
                problems.append("\(program.name) ended with \(code): \(program.errorText.suffix(600))")
                return
            }
        // Before it listens for signals it has not begun anything that could be drained.
        case .signal(SIGTERM) where !program.errorText.contains(" started"): break
        case .signal(let number):
            guard number == SIGKILL, killed.contains(program.processID) else {
                problems.append("\(program.name) died of signal \(number): \(program.errorText.suffix(600))")
                return
            }
        }
    }

    /// Drains the workers and waits for all that was ever started.
    private func endPrograms() async throws {
        wanted = []
        for program in sleepers { program.signal(SIGCONT) }
        store.release()
        for program in workers.values { program.signal(SIGTERM) }
        for program in workers.values {
            judge(program, try await program.ended(within: .seconds(30)), mayEndWith: [0, 20, 21, 22, 32])
        }
        for program in replaced {
            judge(program, try await program.ended(within: .seconds(30)), mayEndWith: [0, 20, 21, 22, 30, 31])
        }
    }

    /// Reads as BI does, all the time: whoever follows `latest` finds a whole export and never anything else. Returns what
    /// was wrong.
    private func followLatest() async throws -> String? {
        var seen: [UInt8]?
        do {
            while true {
                if let latest = try await fleet.store.get(PublishedExport.key, limit: 1 << 20), latest.bytes != seen {
                    let export = try await PublishedExport.read(latest.bytes, in: fleet.store)
                    if let difference = export.difference(from: reference) { return "latest: \(difference)" }
                    seen = latest.bytes
                    runsShown.insert(export.run.run.runID.description)
                }
                try await Task.sleep(for: .milliseconds(200))
            }
        } catch is CancellationError {
            return nil
        } catch let wrong as PublishedExport.Wrong {
            return "latest: \(wrong)"
        }
    }

    // MARK: Faults

    private func happen(_ fault: Scenario.Fault) async throws {
        let worker = "worker\(1 + fault.choice % scenario.workers)"
        switch fault.kind {
        case .workerKilled:
            if let program = try await workerAtGate(fault) { await kill(program) }
        case .workerFrozen: try await freezeWorker(fault)
        case .workerFrozenInUpload: freezeInUpload(fault)
        case .workerStopped: workers[worker]?.signal(SIGTERM)
        case .workersJoinAndLeave:
            let guest = "worker\(scenario.workers + 1)"
            if !wanted.contains(guest) { try startWorker(guest) }
            workers[worker]?.signal(SIGTERM)
            healings.append { await self.dismiss(guest) }
        case .coordinatorKilledBeforeGraph, .coordinatorKilledWithSnapshot, .coordinatorKilledAfterSnapshot,
            .coordinatorKilledVerified, .coordinatorKilledPublished, .coordinatorKilledAnnounced,
            .coordinatorKilledHistory, .coordinatorKilledClosing:
            if let coordinator { await kill(coordinator) }
        case .coordinatorStopped: coordinator?.signal(SIGTERM)
        case .coordinatorFrozen: try await freezeCoordinator(fault)
        case .brokerRestarted:
            try await KeptServer.kafka.restart(
                by: fault.choice % 2 == 0 ? SIGKILL : SIGTERM, downFor: .milliseconds(300))
            healings.append { try await self.untilBrokerAnswers() }
        case .brokerUnreachable: try await disturb(broker, .refusing, for: .milliseconds(3500))
        case .brokerSilent: try await disturb(broker, .silent, for: .milliseconds(3500))
        case .brokerSlow: later(broker, .slow(.milliseconds(25)))
        case .databaseRestarted:
            // At once (as after a crash), or in order, with all sessions ended.
            try await KeptServer.postgres.restart(
                by: fault.choice % 2 == 0 ? SIGQUIT : SIGINT, downFor: .milliseconds(100 * (fault.choice / 2 % 10)))
            try await gates.closeAgain()
        case .sessionsEnded: try await endSessions(fault)
        case .databaseReset:
            (fault.choice % 3 == 0 ? coordinatorLine : workerLines[worker])?.reset()
        case .databaseSilent:
            let line = fault.choice % 3 == 0 ? coordinatorLine : workerLines[worker]!
            // Longer than a lease; afterwards bytes flow again, or nothing is left of the connections.
            try await disturb(line, .silent, for: .milliseconds(4500), thenReset: fault.choice / 3 % 2 == 0)
        case .databaseSlow:
            later(fault.choice % 3 == 0 ? coordinatorLine : workerLines[worker]!, .slow(.milliseconds(20)))
        case .commitReplyLost: loseReplies(fault)
        case .messagesForged, .messagesRepeated, .garbage: try await send(fault)
        case .clockAhead, .clockBehind: break  // Since the programs were started.
        default: try await spoilStore(fault)
        }
    }

    private func kill(_ program: Program) async {
        killed.insert(program.processID)
        program.kill()
        _ = try? await program.ended(within: .seconds(10))
    }

    /// A worker whose job stands at the gate.
    private func workerAtGate(_ fault: Scenario.Fault) async throws -> Program? {
        let names = try await observer.rows(
            """
            SELECT DISTINCT j.worker_id FROM bda.job AS j
            JOIN pg_locks AS l ON l.pid = j.backend_pid AND l.locktype = 'advisory' AND NOT l.granted
            WHERE j.state = 'running' AND l.objid = \(fault.moment.lock) ORDER BY 1
            """
        ).compactMap { $0[0] }
        guard !names.isEmpty else {
            notes.append("nobody at the gate")
            return nil
        }
        return workers[names[fault.choice % names.count]]
    }

    /// Freezes a worker in the middle of a job until another has taken the job over, or until the date is complete.
    private func freezeWorker(_ fault: Scenario.Fault) async throws {
        guard let program = try await workerAtGate(fault) else { return }
        program.signal(SIGSTOP)
        // Somebody must be left to work.
        if fault.choice % 2 == 0 || frozenToTheEnd + 1 >= scenario.workers {
            healings.append { program.signal(SIGCONT) }
            let id = program.name.split(separator: "-").dropLast().joined(separator: "-")
            let deadline = ContinuousClock.now + .seconds(15)
            while try await observer.says(
                "SELECT EXISTS (SELECT FROM bda.job WHERE state = 'running' AND worker_id = '\(id)')")
            {
                guard ContinuousClock.now < deadline else {
                    notes.append("nobody took over from \(id)")
                    break
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        } else {
            frozenToTheEnd += 1
            wakeAtEnd(program)
        }
    }

    /// Freezes a worker while a request to the store is under way, which reaches the store when the date is complete: the
    /// worker's successor has written the object long before, and a reader has followed `latest` to it.
    private func freezeInUpload(_ fault: Scenario.Fault) {
        guard frozenToTheEnd + 1 < scenario.workers else {
            notes.append("nobody would be left to work")
            return
        }
        frozenToTheEnd += 1
        store.spoil(1, .held) { $0.isWrite && !$0.isManifest }
        aftermath.append { await self.noteUnlessHappened(fault, self.store.heldTarget != nil) }
        Task {
            while store.heldTarget == nil, !isComplete { try await Task.sleep(for: .milliseconds(10)) }
            let target = store.heldTarget.map { String($0.prefix { $0 != "?" }) }?.removingPercentEncoding
            guard let target, let runID = ObjectLayout.runID(ofKey: target) else { return }
            // /bucket/…/<system>/<dataset>/dt=…/run=…/part-<partition>-<number>.csv
            let path = target.split(separator: "/")
            guard let date = path.firstIndex(where: { $0.hasPrefix("dt=") }), date >= 2 else { return }
            let partition = path[path.count - 1].split(separator: "-")[1]
            let job = "\(runID)/\(path[date - 2]).\(path[date - 1])/\(partition)"
            if let worker = try await observer.value("SELECT worker_id FROM bda.job WHERE job_id = '\(job)'") {
                workers[worker]?.signal(SIGSTOP)
                if let program = workers[worker] { sleepers.append(program) }
            }
        }
    }

    private func wakeAtEnd(_ program: Program) { sleepers.append(program) }

    /// Freezes the coordinator; another takes the date over; the first wakes up and finds that it owns nothing.
    private func freezeCoordinator(_ fault: Scenario.Fault) async throws {
        guard let frozen = coordinator, frozen.ending == nil else { return }
        frozen.signal(SIGSTOP)
        replaced.append(frozen)
        coordinator = try startCoordinator(takesOver: true)
        if fault.choice % 2 == 0 {
            healings.append { frozen.signal(SIGCONT) }
        } else {
            wakeAtEnd(frozen)
        }
    }

    private func dismiss(_ name: String) {
        wanted.remove(name)
        workers[name]?.signal(SIGTERM)
    }

    private func disturb(
        _ line: TCPProxy, _ way: TCPProxy.Way, for time: Duration, thenReset: Bool = false
    ) async throws {
        line.set(way)
        try await Task.sleep(for: time)
        if thenReset { line.set(.refusing) }
        line.set(.open)
    }

    private func later(_ line: TCPProxy, _ way: TCPProxy.Way) {
        line.set(way)
        healings.append {
            try await Task.sleep(for: .seconds(1))
            line.set(.open)
        }
    }

    private func loseReplies(_ fault: Scenario.Fault) {
        let lines = Array(workerLines.values)
        for line in lines { line.loseReply(to: "COMMIT") }
        if fault.choice % 2 == 0 { coordinatorLine.loseReply(to: "bda.enter_state") }
        aftermath.append {
            await self.noteUnlessHappened(fault, (lines + [self.coordinatorLine]).contains { $0.lostReplies > 0 })
            for line in lines + [self.coordinatorLine] { line.keepReplies() }
        }
    }

    /// `pg_terminate_backend` for one session of the fleet, or for all of one purpose, or for all.
    private func endSessions(_ fault: Scenario.Fault) async throws {
        let fleets = "datname = current_database() AND usename = 'billing_aggregator'"
        let purposes = try await observer.rows(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE \(fleets) ORDER BY 1"
        ).compactMap { $0[0] }
        guard !purposes.isEmpty else { return }
        let purpose = purposes[fault.choice % purposes.count]
        let which =
            switch fault.choice / 100 % 3 {
            case 0: "pid = (SELECT min(pid) FROM pg_stat_activity WHERE \(fleets) AND application_name = '\(purpose)')"
            case 1: "application_name = '\(purpose)'"
            default: "true"
            }
        _ = try await observer.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \(fleets) AND \(which)")
    }

    private func send(_ fault: Scenario.Fault) async throws {
        let forger = Forger(fleet)
        switch fault.kind {
        case .messagesForged:
            guard let runID = try await observer.value("SELECT max(run_id) FROM bda.run") else { return }
            // Before the graph is committed, nobody sees its jobs: made-up names do.
            let known = try await observer.rows("SELECT job_id FROM bda.job WHERE run_id = '\(runID)'")
            var jobs = try known.compactMap { try $0[0].map { try JobID($0) } }
            if jobs.isEmpty {
                jobs = [
                    JobID(run: try RunID(runID), segment: try SegmentName("tripica.charges"), partition: 0),
                    JobID(run: try RunID(runID), segment: try SegmentName("tripica.data_charges"), partition: 1),
                ]
            }
            try await forger.forge(
                jobs,
                of: RunContext(
                    runID: try RunID(runID), businessDate: try BusinessDate(SampleWarehouse.date), clientID: "acme",
                    environment: "dev"))
        case .messagesRepeated:
            for topic in [forger.topics.jobs, forger.topics.events] {
                try await forger.repeatReversed(await recorder.messages[topic] ?? [])
            }
        default:
            var generator = SeededGenerator(seed: scenario.seed &+ UInt64(fault.choice))
            try await forger.sendGarbage(&generator)
        }
    }

    private func spoilStore(_ fault: Scenario.Fault) async throws {
        let count = 1 + fault.choice % 6
        let after = fault.choice / 10 % 2 == 0
        switch fault.kind {
        case .storeErrors: store.spoil(count, .refuse(500, code: "InternalError")) { $0.isWrite }
        case .storeThrottles: store.spoil(count, .refuse(503, code: "SlowDown")) { _ in true }
        case .errorInSuccess:
            store.spoil(
                count, after ? .answerReplaced(200, code: "InternalError") : .errorInSuccess, where: { $0.isCompletion }
            )
        case .storeSlow: store.spoil(30, .slow(.milliseconds(100))) { _ in true }
        case .uploadReset: store.spoil(count, .resetInBody) { $0.method == "PUT" }
        case .wrongETag: store.spoil(1 + count % 2, .wrongETag) { $0.isPartUpload }
        case .conditionRefused:
            let refusal = "PreconditionFailed"
            store.spoil(
                1, after ? .answerReplaced(412, code: refusal) : .refuse(412, code: refusal), where: { $0.isLatest })
        case .answersLost:
            store.spoil(count, after ? .answerLost : .answerReplaced(500, code: "InternalError")) { $0.isWrite }
        case .storeUnreachable:
            store.refuse(true)
            try await Task.sleep(for: .seconds(2))
            store.refuse(false)
        default: preconditionFailure("\(fault.kind) is no fault of the store")
        }
        let hits = store.hits
        aftermath.append { [store] in
            if fault.kind != .storeUnreachable { await self.noteUnlessHappened(fault, store.hits > hits) }
        }
    }

    private func noteUnlessHappened(_ fault: Scenario.Fault, _ hasHappened: Bool) {
        if !hasHappened { notes.append("\(fault.kind.rawValue): came to nothing") }
    }

    private func untilBrokerAnswers() async throws {
        let deadline = ContinuousClock.now + Self.limit
        while true {
            let admin = try await KafkaAdmin.make(configuration: fleet.kafka, logger: TestKafka.logger)
            let topics = try? await admin.topics(within: .seconds(5))
            try? await admin.close()
            if topics != nil { return }
            guard ContinuousClock.now < deadline else {
                throw Overdue(what: "the broker does not answer", limit: Self.limit, context: "")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

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
    var notes: [String] = []

    let gates: Gates
    let broker: TCPProxy
    let coordinatorLine: TCPProxy
    var workerLines: [String: TCPProxy] = [:]
    var workers: [String: Program] = [:]
    /// Workers that are started again when they end.
    var wanted: Set<String> = []
    var coordinator: Program?
    /// Coordinators that were frozen and woken, or replaced, and must end by themselves.
    var replaced: [Program] = []
    /// Programs that sleep until the date is complete.
    var sleepers: [Program] = []
    var frozenToTheEnd = 0
    var coordinatorStarts = 0
    var killed: Set<pid_t> = []
    var isComplete = false
    /// Every run that `latest` has named.
    var runsShown: Set<String> = []
    /// What undoes the faults, when all have happened.
    var healings: [@Sendable () async throws -> Void] = []
    /// Ends when a broker that was taken away has been started again.
    var brokerReturn: Task<Void, any Error>?
    /// Whether a next version was set up in mid-run.
    var isUpgraded = false
    /// What is looked at when the date is complete.
    var aftermath: [@Sendable () async throws -> Void] = []

    static let limit = Duration.seconds(60)

    /// How long a step of the run may take: a coordinator that is started while the broker is away ends until it is back.
    var patience: Duration {
        Self.limit
            + .seconds(scenario.faults.contains { $0.kind == .brokerAway } ? FaultSettings.brokerAbsence ?? 40 : 0)
    }

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

    /// Undoes the faults.
    private func heal() async throws {
        while !healings.isEmpty { try await healings.removeFirst()() }
    }

    /// Ends proxies and sessions. What scenarios share is as it was.
    func end() async {
        while !healings.isEmpty { try? await healings.removeFirst()() }
        await saboteur?.close()
        await recorder.end()
        await gates.end()
        await observer.close()
        for proxy in [broker, coordinatorLine] + Array(workerLines.values) { proxy.close() }
        store.close()
    }

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
            try await heal()
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
    func reached(_ moment: Moment) async throws -> Bool {
        let deadline = ContinuousClock.now + patience
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

    func untilComplete(_ schedule: Task<Void, any Error>) async throws {
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

    /// Reads as BI does, all the time: whoever follows `latest` finds a whole export and never anything else. Returns what
    /// was wrong.
    func followLatest() async throws -> String? {
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
}

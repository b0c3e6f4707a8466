import BlockingIO
import CommandLineOptions
import Foundation
import HealthEndpoint
import JobModel
import Kafka
import Ledger
import Logging
import Metrics
import ObjectStore
import Scripts
import ServiceLifecycle
import Settings
import Warehouse

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a business date: continues its open run, or begins one.",
        discussion: """
            A complete date is run again only with --new. A signal stops the program and leaves the run open; the same
            command continues it.

            EXAMPLES
              bda-coordinator run
              bda-coordinator run --date 2026-03-31 --systems tripica
              bda-coordinator run --date 2026-03-31 --new
            """)

    @Option(help: "The business date; default: yesterday in BDA_TIME_ZONE.")
    var date: String?

    @Option(help: "Systems, separated by commas; default: BDA_SYSTEMS.")
    var systems: String?

    @Option(help: "Number of customer buckets; default: BDA_PARTITIONS.")
    var partitions: Int?

    @Flag(help: "Run a complete date again.")
    var new = false

    @Flag(help: "End the database sessions of a coordinator that holds the date and no longer responds.")
    var takeover = false

    mutating func run() async throws {
        let options = RunOptions(
            date: date, systems: systems, partitions: partitions, isNew: new, takesOver: takeover)
        try await reportingFailures {
            let context = try CommandContext([.kafka, .output])
            guard let kafka = context.kafka else {
                throw RunFailure(
                    .usage, "BDA_KAFKA_BOOTSTRAP_SERVERS is not set",
                    hint:
                        "name the brokers as host:port, with commas between them; without Kafka use 'bda-coordinator local'"
                )
            }
            try await RunProgram(
                context: context, kafka: kafka, checked: CheckedRun(options, in: context)
            ).run()
        }
    }
}

/// The options of `run` and `local`.
struct RunOptions: Sendable {
    var date: String?
    var systems: String?
    var partitions: Int?
    var isNew: Bool
    var takesOver: Bool
}

/// The scripts and the request of a run, validated before anything is started.
struct CheckedRun: Sendable {
    let scripts: ScriptSet
    let request: RunRequest
    let takesOver: Bool

    init(_ options: RunOptions, in context: CommandContext) async throws {
        scripts = try context.scripts()
        request = RunRequest(
            businessDate: try context.businessDate(options.date),
            systems: try context.systems(options.systems, of: scripts),
            partitions: try context.partitions(options.partitions), isNew: options.isNew)
        takesOver = options.takesOver
        try context.checkCutoff(of: request.businessDate)
        try await context.checkLedger()
        let tables = scripts.tables
        // A precheck tests whether the role may create objects in report_oibl.
        try await context.withSession { try await RunSchema.checkReports(tables, schemas: ["bda"], in: $0) }
    }
}

/// Connects to the servers, runs the steps of a run and their services in one group, and prints the result.
struct RunProgram: Sendable {
    let context: CommandContext
    let kafka: KafkaConfiguration
    let checked: CheckedRun
    /// Broker and workers of local mode; nil otherwise.
    var fleet: LocalFleet?

    func run() async throws {
        let settings = context.settings
        let logger = context.logger
        let date = checked.request.businessDate
        guard let output = context.output else { preconditionFailure("a run needs an output") }
        let store = try output.open()
        try await store.check()
        try await checkTopics()

        let lock = DateLock(clientID: settings.clientID, environment: settings.deployment, businessDate: date)
        if checked.takesOver { try await context.withSession { try await lock.endHolder(on: $0) } }
        let ledger = Ledger(settings.database, purpose: "coordinator ledger") { try await lock.take(on: $0) }
        // The services have a session of their own, so that their statements never delay the steps.
        let services = Ledger(settings.database, purpose: "coordinator services") { try await lock.join($0) }
        // run.completed lists every dataset, so it can be much larger than the message of a job.
        let producer = try await KafkaProducer.make(
            configuration: kafka, linger: .zero, maximumMessageBytes: 900_000, logger: logger)
        let messagesDrain = GracefulShutdown()
        let messages = RunMessages(
            producer: producer, topics: settings.topics, drain: messagesDrain, logger: logger)
        let bell = Bell()
        let registry = MetricsRegistry()
        let reader = try await KafkaTopicReader.make(
            configuration: kafka, topic: settings.topics.events, from: .end, logger: logger)
        let current = CurrentRun()
        let snapshot = SnapshotHolder(settings: settings, ledger: services, current: current, logger: logger)
        let driver = RunDriver(
            RunDependencies(
                settings: settings, scripts: checked.scripts, ledger: ledger, lock: lock, store: store,
                outputURI: output.uri, messages: messages, bell: bell, current: current, snapshot: snapshot,
                metrics: RunMetrics(registry: registry), logger: logger,
                showsProgress: context.logFormat == .text, ownerName: CommandContext.processName),
            request: checked.request)
        var members: [ServiceGroup.Member] = []
        if settings.httpPort != 0 {
            members.append(
                .init(
                    "health",
                    try HealthEndpoint(port: settings.httpPort, readiness: Readiness([]), registry: registry)))
        }
        members += [
            .init("messages", messages, drain: messagesDrain, limit: .seconds(3)),
            .init("events", EventFollower(reader: reader, bell: bell)),
            .init("kafka", KafkaHealth(kafka: kafka, settings: settings, businessDate: date, logger: logger)),
            .init("snapshot", snapshot),
            .init(
                "owed events", OwedEvents(settings: settings, ledger: services, messages: messages, logger: logger)),
            .init(
                "lateness",
                Lateness(settings: settings, ledger: services, current: current, messages: messages, logger: logger)),
            .init("schemas", SupersededSchemas(settings: settings, ledger: services, logger: logger)),
        ]
        if let fleet { members.append(.init("fleet", fleet)) }
        members.append(.init("run", driver))
        let ending: Result<ServiceGroup.Ending, any Error>
        do {
            ending = .success(
                try await ServiceGroup(
                    members, abortCode: ExitCode.interrupted.rawValue, logger: logger
                ).run())
        } catch {
            ending = .failure(error)
        }
        await ledger.close()
        await services.close()
        try? await reader.close(within: .seconds(5))
        try? await producer.close(within: .seconds(5))
        guard try ending.get().signal == nil, let summary = driver.summary else { throw CancellationError() }
        print(RunReport(summary: summary, figures: try await figures(of: summary.run.runID)).text)
    }

    private func figures(of runID: RunID) async throws -> [DatasetFigures] {
        let ledger = Ledger(context.settings.database, purpose: "coordinator")
        let figures = try await ledger.status.datasetFigures(of: runID)
        await ledger.close()
        return figures
    }

    /// Throws if a topic is missing or the broker is unreachable: no run begins without Kafka.
    private func checkTopics() async throws {
        try await KafkaAdmin.requireTopics(
            context.settings.topicDefinitions.map(\.name), configuration: kafka, within: .seconds(12),
            logger: context.logger)
    }
}

/// Rings the bell for each job event. Events only wake the job loop; the ledger has the state of the jobs.
private struct EventFollower: Service {
    let reader: KafkaTopicReader
    let bell: Bell

    func run() async throws {
        while !Task.isCancelled {
            do {
                if try await reader.next(within: .seconds(1)) != nil { bell.ring() }
            } catch is CancellationError {
                return
            } catch {
                // Without events the job loop reads the ledger once a second.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}

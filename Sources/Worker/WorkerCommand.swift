import CommandLineOptions
import Foundation
import HealthEndpoint
import JobModel
import Kafka
import Ledger
import Logging
import Metrics
import ObjectStore
import Postgres
import ProgramSettings
import ServiceLifecycle
import Settings

@main
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bda-worker",
        abstract:
            "Takes jobs from Kafka and the ledger, runs their SQL, and uploads the exported files.",
        discussion: """
            Settings come from the environment; --settings lists them all. Any number of workers can run. After SIGTERM a
            worker takes no more jobs; running jobs have BDA_DRAIN_SECONDS to finish, then they are given back.

            \(ExitCode.helpText([
                .completed, .bug, .usage, .setupNeeded, .databaseUnavailable, .kafkaUnavailable, .storeUnavailable,
                .interrupted, .drainExceeded,
            ]))

            EXAMPLES
              BDA_WORKER_SLOTS=4 BDA_DB_MAX_CONNS=6 bda-worker
            """)

    @Flag(help: "List all settings with their defaults.")
    var settings = false

    @Flag(help: "End when the parent process has ended.")
    var exitWithParent = false

    mutating func run() async throws {
        if settings {
            print(SettingCatalogue.programs.helpText)
            return
        }
        let endsWithParent = exitWithParent
        do {
            let code = try await WorkerProgram(
                environment: ProcessInfo.processInfo.environment, endsWithParent: endsWithParent
            ).run()
            if code != .completed { throw code }
        } catch let code as ExitCode {
            throw code
        } catch is CancellationError {
            throw ExitCode.interrupted
        } catch {
            let known = error as? any ErrorWithExitCode
            var text = "bda-worker: \(error)\n"
            if let hint = known == nil ? "this is a bug; please report it with the log" : known?.hint {
                text += "hint: \(hint)\n"
            }
            FileHandle.standardError.write(Data(text.utf8))
            throw known?.exitCode ?? .bug
        }
    }
}

/// Builds the parts of a worker and runs them.
struct WorkerProgram {
    let environment: [String: String]
    let endsWithParent: Bool

    /// Runs until a signal comes and the drain has ended.
    func run() async throws -> ExitCode {
        let settings = try WorkerSettings(environment: environment)
        LoggingSystem.bootstrap(format: settings.logFormat, level: settings.logLevel)
        var logger = Logger(label: "bda.worker")
        logger[metadataKey: .workerID] = "\(settings.workerID)"

        let registry = MetricsRegistry()
        let metrics = WorkerMetrics(registry: registry, slots: settings.slots)
        let readiness = Readiness(["database", "kafka"])
        try await checkDatabase(settings)
        let stores = StoreCache(environment: environment, connections: settings.slots * 2 + 1) {
            [logger] error, delay in
            logger.warning(
                "a request to the store failed and is tried again",
                metadata: [.error: "\(error)", .delayMs: "\(Int(delay / .milliseconds(1)))"])
        }
        try await checkStore(settings)
        try await checkTopics(settings, logger: logger)
        readiness.set("kafka", isReady: true)

        let (drain, eventsDrain) = (GracefulShutdown(), GracefulShutdown())
        // A renewal that hangs ends in time for two more tries within the lease.
        let ledger = Ledger(
            settings.database, purpose: "worker ledger", statementLimit: .seconds(settings.leaseSeconds) / 3)
        let producer = try await KafkaProducer.make(
            configuration: settings.kafka, linger: .milliseconds(5), logger: logger)
        let consumer = try await KafkaConsumer.make(
            configuration: settings.kafka, group: settings.topics.workerGroup, topics: [settings.topics.jobs],
            metrics: registry, logger: logger)
        let events = EventPublisher(
            producer: producer, ledger: ledger, topic: settings.topics.events, workerID: settings.workerID,
            drain: eventsDrain, logger: logger)
        let runs = RunCache()
        let deadLetters = DeadLetterQueue(topic: settings.topics.deadLetters, logger: logger) {
            try await producer.send($0)
        }
        let worker = WorkerContext(
            settings: settings, logger: logger, ledger: ledger, consumer: consumer, deadLetters: deadLetters,
            events: events,
            runs: runs, runner: JobRunner(workerID: settings.workerID, runs: runs, stores: stores), drain: drain,
            readiness: readiness, metrics: metrics)

        var members: [ServiceGroup.Member] = []
        if settings.httpPort != 0 {
            members.append(
                .init("health", try HealthEndpoint(port: settings.httpPort, readiness: readiness, registry: registry)))
        }
        if endsWithParent { members.append(.init("parent", ParentWatch())) }
        members += [
            .init("events", events, drain: eventsDrain, limit: .seconds(5)),
            .init("consumer", ConsumerService(consumer: consumer)),
            .init("dead letters", deadLetters),
            .init("leases", LeaseKeeper(worker: worker)),
            .init("heartbeat", Heartbeat(ledger: ledger, settings: settings, logger: logger)),
            .init("snapshot", SnapshotKeeper(worker: worker)),
            .init("slots", SlotService(worker: worker), drain: drain, limit: .seconds(settings.drainSeconds)),
        ]
        logger.info(
            "worker started",
            metadata: [
                .version: "\(Version.current)", .count: "\(settings.slots)",
                .address: "\(settings.kafka.bootstrapServers)",
            ])
        let ending = try await ServiceGroup(members, abortCode: ExitCode.drainExceeded.rawValue, logger: logger).run()
        try? await consumer.close()
        try? await producer.close(within: .seconds(5))
        await ledger.close()
        logger.info("worker ended")
        return ending.overdue.contains("slots") ? .drainExceeded : .completed
    }

    private func checkDatabase(_ settings: WorkerSettings) async throws {
        let session = try await PostgresSession.connect(settings.database, purpose: "worker check")
        do {
            try await LedgerVersion.check(in: session, of: settings.database)
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    private func checkStore(_ settings: WorkerSettings) async throws {
        try await settings.output.open(connections: 1).check()
    }

    private func checkTopics(_ settings: WorkerSettings, logger: Logger) async throws {
        try await KafkaAdmin.requireTopics(
            [settings.topics.jobs, settings.topics.events, settings.topics.deadLetters],
            configuration: settings.kafka, within: .seconds(12), logger: logger)
    }
}

/// The slots as one service: it ends when all of them have drained; its cancellation interrupts running jobs.
private struct SlotService: Service {
    let worker: WorkerContext

    func run() async throws {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                for number in 1...worker.settings.slots {
                    group.addTask { await JobSlot(number: number, worker: worker).run() }
                }
            }
        } onCancel: {
            worker.running.interruptAll()
        }
    }
}

private struct ConsumerService: Service {
    let consumer: KafkaConsumer

    func run() async throws { try await consumer.run() }
}

/// Ends, and thereby ends the worker, when the parent process has ended.
private struct ParentWatch: Service {
    func run() async throws {
        let parent = getppid()
        while getppid() == parent, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(500)) }
    }
}

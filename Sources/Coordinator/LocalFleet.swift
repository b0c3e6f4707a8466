import BlockingIO
import Foundation
import Glibc
import JobModel
import Kafka
import Logging
import ServiceLifecycle
import CommandLineOptions
import Settings

/// Everything of one machine's fleet: librdkafka's mock cluster in this process as the broker, and `bda-worker` processes.
///
/// The broker keeps what it holds in memory only and drops messages silently beyond 5 MiB a partition; nothing depends on
/// its memory, because the ledger decides what is to be done.
final class LocalFleet: Service {
    /// The way to the broker.
    let kafka: KafkaConfiguration
    private let cluster: KafkaMockCluster
    private let program: URL
    private let environment: [String: String]
    private let logger: Logger
    /// Each is started and asked with the lock held.
    private let workers = Mutex<[Worker]>([])

    private struct Worker {
        let number: Int
        let process: Process
        var restarts = 0
    }

    /// Starts broker and workers. The workers get this process's environment, with the broker in it.
    init(workers count: Int, environment: [String: String], topics: [KafkaTopicDefinition], logger: Logger) async throws
    {
        cluster = try await KafkaMockCluster.make(topics: topics, logger: logger)
        kafka = await cluster.configuration(clientID: CommandEnvironment.kafkaClientID)
        var environment = environment.merging(kafka.environment) { _, new in new }
        environment["BDA_HTTP_PORT"] = "0"
        // The progress line tells what workers do; a user who wants their words as well sets the level.
        if environment["BDA_LOG_LEVEL"] == nil { environment["BDA_LOG_LEVEL"] = "warn" }
        self.environment = environment
        self.logger = logger
        program = try Self.workerProgram()
        for number in 1...count {
            let worker = Worker(number: number, process: try start(number))
            workers.withLock { $0.append(worker) }
        }
    }

    /// Starts a worker again that was killed. Throws when one ends because of its settings, or again and again.
    func run() async throws {
        while true {
            let restarted = try workers.withLock { workers in
                var restarted: [(number: Int, status: Int32)] = []
                for index in workers.indices where !workers[index].process.isRunning {
                    let ended = workers[index].process
                    let isKilled = ended.terminationReason == .uncaughtSignal
                    guard isKilled, workers[index].restarts < 5 else {
                        throw RunFailure(
                            ExitCode(rawValue: ended.terminationStatus) ?? .bug,
                            "the local worker \(workers[index].number) ended with exit code \(ended.terminationStatus)",
                            hint: "its log is above")
                    }
                    workers[index] = Worker(
                        number: workers[index].number, process: try start(workers[index].number),
                        restarts: workers[index].restarts + 1)
                    restarted.append((workers[index].number, ended.terminationStatus))
                }
                return restarted
            }
            for (number, signal) in restarted {
                logger.warning(
                    "a local worker was killed and is started again",
                    metadata: [.workerID: "local-\(number)", .signal: "\(signal)"])
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func start(_ number: Int) throws -> Process {
        let worker = Process()
        worker.executableURL = program
        worker.arguments = ["--exit-with-parent"]
        worker.environment = environment.merging(["BDA_WORKER_ID": "local-\(number)"]) { _, new in new }
        worker.standardInput = FileHandle.nullDevice
        try worker.run()
        return worker
    }

    /// Asks the workers to drain and waits for them; who has not ended after the time is killed.
    func stop(within time: Duration) async {
        forEachRunning { $0.terminate() }
        let deadline = ContinuousClock.now + time
        while runningCount > 0, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        forEachRunning { kill($0.processIdentifier, SIGKILL) }
    }

    private var runningCount: Int { workers.withLock { $0.count { $0.process.isRunning } } }

    private func forEachRunning(_ body: (Process) -> Void) {
        workers.withLock { $0.map(\.process).filter(\.isRunning).forEach(body) }
    }

    /// `bda-worker` beside this program, or on the PATH.
    private static func workerProgram() throws -> URL {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let folders =
            [own.deletingLastPathComponent().path]
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for folder in folders {
            let path = "\(folder)/bda-worker"
            if FileManager.default.isExecutableFile(atPath: path) { return URL(fileURLWithPath: path) }
        }
        throw RunFailure(
            .usage, "there is no program bda-worker beside \(own.path) or on the PATH",
            hint: "build both programs with 'swift build'")
    }
}

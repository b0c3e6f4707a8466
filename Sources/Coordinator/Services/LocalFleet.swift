import BlockingIO
import CommandLineOptions
import Foundation
import Glibc
import JobModel
import Kafka
import Logging
import ServiceLifecycle
import Settings

/// The fleet of local mode: librdkafka's mock cluster in this process as the broker, and `bda-worker` processes.
///
/// The broker keeps messages in memory only and silently drops messages beyond 5 MiB per partition. A dropped message
/// loses no job, because the ledger decides which jobs run.
final class LocalFleet: Service {
    /// The settings with which a client connects to the broker.
    let kafka: KafkaConfiguration
    private let cluster: KafkaMockCluster
    private let program: URL
    private let environment: [String: String]
    private let logger: Logger
    /// The lock is held while a process is started and while its state is read.
    private let workers = Mutex<[Worker]>([])

    private struct Worker {
        let number: Int
        let process: Process
        var restarts = 0
    }

    /// Starts the broker and the workers. The workers inherit the environment of this process and the broker's address.
    init(workers count: Int, environment: [String: String], topics: [KafkaTopicDefinition], logger: Logger) async throws
    {
        cluster = try await KafkaMockCluster.make(topics: topics, logger: logger)
        kafka = await cluster.configuration(clientID: CommandContext.kafkaClientID)
        var environment = environment.merging(kafka.environment) { _, new in new }
        environment["BDA_HTTP_PORT"] = "0"
        // The progress line shows the work of the workers; their info messages appear only if the user sets the level.
        if environment["BDA_LOG_LEVEL"] == nil { environment["BDA_LOG_LEVEL"] = "warn" }
        self.environment = environment
        self.logger = logger
        program = try Self.workerProgram()
        for number in 1...count {
            let worker = Worker(number: number, process: try start(number))
            workers.withLock { $0.append(worker) }
        }
    }

    /// Restarts workers that were killed or stopped. Throws if a worker ends with an error, or after too many restarts:
    /// a worker that ends before the run is a failure, whatever its exit code.
    func run() async throws {
        while true {
            let restarted = try workers.withLock { workers in
                var restarted: [(number: Int, reason: String)] = []
                for index in workers.indices where !workers[index].process.isRunning {
                    let ended = workers[index].process
                    guard Self.isWorthRestarting(ended), workers[index].restarts < Self.maximumRestarts else {
                        throw Self.failure(of: workers[index].number, ended)
                    }
                    workers[index] = Worker(
                        number: workers[index].number, process: try start(workers[index].number),
                        restarts: workers[index].restarts + 1)
                    restarted.append((workers[index].number, Self.ending(of: ended)))
                }
                return restarted
            }
            for (number, reason) in restarted {
                logger.warning(
                    "a local worker ended before the run and is restarted",
                    metadata: [.workerID: "local-\(number)", .reason: "\(reason)"])
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private static let maximumRestarts = 5

    /// Whether a worker was killed, or has drained after a signal that this process did not send.
    private static func isWorthRestarting(_ ended: Process) -> Bool {
        ended.terminationReason == .uncaughtSignal || ended.terminationStatus == ExitCode.completed.rawValue
    }

    private static func ending(of ended: Process) -> String {
        ended.terminationReason == .uncaughtSignal
            ? "signal \(ended.terminationStatus)" : "exit code \(ended.terminationStatus)"
    }

    private static func failure(of number: Int, _ ended: Process) -> RunFailure {
        // A signal number is not an exit code, and the exit code 0 of a worker must not become that of the run.
        let code = isWorthRestarting(ended) ? ExitCode.interrupted : ExitCode(rawValue: ended.terminationStatus) ?? .bug
        return RunFailure(
            code, "local worker \(number) ended before the run, with \(ending(of: ended))",
            hint: "see the worker's log above; the same command continues the run")
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

    /// Sends SIGTERM to the workers and waits until they have ended; kills those that have not ended after `time`.
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

    /// Returns the program `bda-worker` in the folder of this program, or on the PATH.
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
            .usage, "the program bda-worker is neither in the folder of \(own.path) nor on the PATH",
            hint: "build both programs with 'swift build'")
    }
}

import BlockingIO
import CommandLineOptions
import Foundation
import Glibc
import JobModel
import Kafka
import Logging
import ServiceLifecycle
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
        kafka = await cluster.configuration(clientID: CommandContext.kafkaClientID)
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

    /// Starts a worker again that was killed or stopped. Throws when one ends because of its settings, or again and again:
    /// workers end before the run does, so that is never a success, whatever their own exit code.
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
                    "a local worker ended before the run and is started again",
                    metadata: [.workerID: "local-\(number)", .reason: "\(reason)"])
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private static let maximumRestarts = 5

    /// A worker that was killed, or asked to drain by a signal that was not ours.
    private static func isWorthRestarting(_ ended: Process) -> Bool {
        ended.terminationReason == .uncaughtSignal || ended.terminationStatus == ExitCode.completed.rawValue
    }

    private static func ending(of ended: Process) -> String {
        ended.terminationReason == .uncaughtSignal
            ? "signal \(ended.terminationStatus)" : "exit code \(ended.terminationStatus)"
    }

    private static func failure(of number: Int, _ ended: Process) -> RunFailure {
        // The number of a signal is no exit code, and a worker's success is none of the run.
        let code = isWorthRestarting(ended) ? ExitCode.interrupted : ExitCode(rawValue: ended.terminationStatus) ?? .bug
        return RunFailure(
            code, "the local worker \(number) ended before the run, by \(ending(of: ended))",
            hint: "the worker's log is above; the same command goes on from where the run was")
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

    /// Asks the workers to drain and waits for them; those that have not ended after the time are killed.
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

import BlockingIO
import Foundation
import Logging
import Metrics
import TestSupport
import Testing

@testable import Kafka

/// A consumer whose topic or right is gone for a while reads again by itself.
@Suite(.timeLimit(.minutes(4)), .enabled(if: KafkaTool.isAvailable, "KAFKA_HOME and BDA_TEST_KAFKA are not set"))
struct KafkaRejoinTests {
    /// Counts the warnings of a consumer by their text.
    private final class Warnings: LogHandler {
        let level = Logger.Level.debug
        private let counts = Mutex<[String: Int]>([:])

        func count(_ text: String) -> Int {
            counts.withLock { $0.filter { $0.key.hasPrefix(text) }.values.reduce(0, +) }
        }

        func log(_ record: LogRecord) {
            guard record.level == .warning else { return }
            counts.withLock { $0[record.message.description, default: 0] += 1 }
        }
    }

    /// Runs `body` while a consumer reads `topic`; it must be blocked by `block`, and read again after `unblock`.
    private func expectReturn(
        group: String, topic: String, configuration: KafkaConfiguration,
        block: () async throws -> Void, unblock: () async throws -> Void
    ) async throws {
        let warnings = Warnings()
        let metrics = MetricsRegistry()
        let consumer = try await KafkaConsumer(
            configuration: configuration, group: group, topics: [topic], metrics: metrics,
            logger: Logger(label: "test", handler: warnings),
            properties: ["statistics.interval.ms": "200", "topic.metadata.refresh.interval.ms": "1000"],
            rejoinInterval: .seconds(2))
        let producer = try await makeProducer(configuration)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await consumer.run() }
            try await producer.send(KafkaMessage(topic: topic, value: [1]))
            let before = try #require(try await consumer.next(within: .seconds(60)))
            await consumer.acknowledge(before)
            #expect(before.value == [1])

            try await block()
            // Partitions are read only while a task waits for a message.
            while await !consumer.state.isReadingBlocked {
                if try await consumer.next(within: .milliseconds(100)) != nil { Issue.record("a message came") }
            }
            #expect(metrics.prometheusText().contains("bda_kafka_reading_blocked 1"))
            let rejoins = await consumer.state.rejoins
            while await consumer.state.rejoins < rejoins + 2 { _ = try await consumer.next(within: .milliseconds(100)) }
            #expect(await consumer.state.isReadingBlocked)

            try await unblock()
            try await producer.send(KafkaMessage(topic: topic, value: [2]))
            while true {
                guard let message = try await consumer.next(within: .seconds(60)) else {
                    Issue.record("no message after the outage")
                    break
                }
                await consumer.acknowledge(message)
                if message.value == [2] { break }
            }
            while await consumer.state.isReadingBlocked { _ = try await consumer.next(within: .milliseconds(100)) }
            #expect(metrics.prometheusText().contains("bda_kafka_reading_blocked 0"))
            tasks.cancelAll()
        }
        #expect(warnings.count("Kafka topics cannot be read") == 1)
        #expect(warnings.count("Kafka topics can be read again") == 1)
        // librdkafka before 2.1.0 may hang in closing a consumer that has lost partitions, and is left behind then.
        try? await consumer.close(within: .seconds(3))
        try await producer.close()
    }

    @Test func aTopicThatIsCreatedAgainIsReadAgain() async throws {
        try await TestKafka.real.withTopic(partitions: 2) { configuration, topic in
            try await expectReturn(group: TestKafka.uniqueName("group"), topic: topic, configuration: configuration) {
                try await KafkaTool.run("kafka-topics.sh", "--delete", "--topic", topic)
            } unblock: {
                let admin = try await makeAdmin(configuration)
                _ = try await admin.ensureTopics([.init(name: topic, partitions: 2)], within: .seconds(30))
                try await admin.close()
            }
        }
    }

    @Test(arguments: ["--topic", "--group"])
    func aRightThatComesBackIsUsed(resource: String) async throws {
        try await TestKafka.real.withTopic(partitions: 2) { configuration, topic in
            let group = TestKafka.uniqueName("group")
            let name = resource == "--topic" ? topic : group
            func change(_ action: String, _ rule: [String]) async throws {
                try await KafkaTool.run(
                    "kafka-acls.sh", [action, "--force", resource, name] + rule)
            }
            // A resource with one rule is closed to all that no rule allows.
            try await change("--add", ["--allow-principal", "User:*", "--operation", "All"])
            try await expectReturn(group: group, topic: topic, configuration: configuration) {
                try await change("--add", ["--deny-principal", "User:ANONYMOUS", "--operation", "Read"])
            } unblock: {
                try await change("--remove", ["--deny-principal", "User:ANONYMOUS", "--operation", "Read"])
            }
        }
    }
}

/// The administration programs of Apache Kafka in `KAFKA_HOME`.
enum KafkaTool {
    private static let variables = ProcessInfo.processInfo.environment

    static var isAvailable: Bool { variables["KAFKA_HOME"] != nil && variables["BDA_TEST_KAFKA"] != nil }

    static func run(_ program: String, _ arguments: String...) async throws { try await run(program, arguments) }

    static func run(_ program: String, _ arguments: [String]) async throws {
        let home = try #require(variables["KAFKA_HOME"])
        let servers = try #require(variables["BDA_TEST_KAFKA"])
        let (status, output) = try await BlockingQueue(name: "kafka-tool").run {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "\(home)/bin/\(program)")
            process.arguments = ["--bootstrap-server", servers] + arguments
            let folder = FileManager.default.temporaryDirectory.path
            process.environment = variables.merging([
                "LOG_DIR": folder, "KAFKA_HEAP_OPTS": "-Xmx128m",
                "KAFKA_OPTS": "-XX:-UsePerfData -XX:TieredStopAtLevel=1",
            ]) { $1 }
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let output = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: output, as: UTF8.self))
        }
        try #require(status == 0, "\(program) \(arguments.joined(separator: " ")): \(output)")
    }
}

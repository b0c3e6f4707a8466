internal import BlockingIO
internal import Timing
internal import CLibRdKafka
package import Logging

package struct KafkaTopicDefinition: Sendable, Hashable {
    package let name: String
    /// At least 1.
    package let partitions: Int
    /// The number of copies of each partition; nil selects the cluster's default.
    package let replicationFactor: Int?
    /// Settings of the topic, such as `retention.ms`.
    package let configuration: [String: String]

    package init(name: String, partitions: Int, replicationFactor: Int? = nil, configuration: [String: String] = [:]) {
        self.name = name
        self.partitions = partitions
        self.replicationFactor = replicationFactor
        self.configuration = configuration
    }
}

/// The result of `KafkaAdmin.ensureTopics`; names in the order of the definitions.
package struct KafkaTopicsReport: Sendable, Hashable {
    /// Topics that this call created.
    package internal(set) var created: [String] = []
    /// Topics that existed, including those of `tooFewPartitions`.
    package internal(set) var existing: [String] = []
    /// Topics that exist with fewer partitions than defined; they are not changed, because keys would move.
    package internal(set) var tooFewPartitions: [TooFew] = []

    package struct TooFew: Sendable, Hashable {
        package let name: String
        package let actual: Int
        package let wanted: Int
    }
}

/// Reads the metadata of a cluster and creates topics.
package actor KafkaAdmin {
    private let thread: BlockingThread
    private let configuration: KafkaConfiguration
    private var handle: KafkaHandle?

    /// The thread on which all calls into librdkafka are made.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Creates the client; the first call opens connections.
    ///
    /// A factory, because Swift 6.3's optimizer does not end on a package initializer of an actor whose deinit is
    /// isolated.
    package static func make(configuration: KafkaConfiguration, logger: Logger) async throws -> KafkaAdmin {
        try await KafkaAdmin(configuration: configuration, logger: logger)
    }

    init(configuration: KafkaConfiguration, logger: Logger) async throws {
        thread = BlockingThread(name: "kafka-admin")
        self.configuration = configuration
        handle = nil
        // Each call reads the reports itself while it waits.
        handle = try KafkaHandle(
            RD_KAFKA_PRODUCER, configuration: configuration, role: .init(fixed: ["statistics.interval.ms": "0"]),
            signal: QueueSignal {}, logger: logger)
    }

    isolated deinit { handle?.destroy() }

    func lookUp(topic: String?, within limit: Duration) throws -> [String: Int] {
        try openHandle().topics(named: topic, configuration: configuration, deadline: .after(limit))
    }

    func createMissing(_ definitions: [KafkaTopicDefinition], within limit: Duration) throws -> KafkaTopicsReport {
        let handle = try openHandle()
        let deadline = Deadline.after(limit)
        var existing = try handle.topics(configuration: configuration, deadline: deadline)
        var report = KafkaTopicsReport()
        let missing = definitions.filter { existing[$0.name] == nil }
        if !missing.isEmpty {
            // Another process may create the same topic at the same time; such a topic is not counted here.
            report.created = try handle.createTopics(missing, deadline: deadline)
            while definitions.contains(where: { existing[$0.name] == nil }) {
                guard !deadline.hasPassed else {
                    throw KafkaError(code: .timedOut, action: "see the new topics on the brokers")
                }
                handle.pause()
                existing = try handle.topics(configuration: configuration, deadline: deadline)
            }
        }
        for definition in definitions {
            if !report.created.contains(definition.name) { report.existing.append(definition.name) }
            if let actual = existing[definition.name], actual < definition.partitions {
                report.tooFewPartitions.append(
                    .init(name: definition.name, actual: actual, wanted: definition.partitions))
            }
        }
        return report
    }

    /// Closes the client. Throws if librdkafka does not release it within `limit`; the client is then left behind.
    package nonisolated func close(within limit: Duration = .seconds(10)) async throws {
        try await closeClient("admin client", within: limit) {
            await self.destroyHandle()
            return true
        }
    }

    private func destroyHandle() {
        handle?.destroy()
        handle = nil
    }

    private func openHandle() throws(KafkaError) -> KafkaHandle {
        guard let handle else {
            throw KafkaError(code: .closed, action: "talk to Kafka", cause: "the admin client was closed")
        }
        return handle
    }
}

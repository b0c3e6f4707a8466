internal import BlockingIO
internal import CLibRdKafka
package import Logging

/// librdkafka's broker inside this process: the embedded cluster of local mode and of tests.
///
/// For one run on one machine only: it listens on 127.0.0.1, loses all messages when it is closed, keeps 5 MiB of a
/// partition and drops older messages without an error, has no topic administration, and creates a topic with 4
/// partitions when a client requests it before it exists. Therefore topics are created here, before a client connects.
package actor KafkaMockCluster {
    private let thread: BlockingThread
    private let logger: Logger
    private var handle: KafkaHandle?
    private var cluster: OpaquePointer?

    /// The address for clients; empty after it was closed.
    package private(set) var bootstrapServers = ""

    /// The thread on which all calls into librdkafka are made.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Starts one broker with `topics`, of which only names and numbers of partitions are used.
    ///
    /// A factory, because Swift 6.3's optimizer does not end on a package initializer of an actor whose deinit is
    /// isolated.
    package static func make(topics: [KafkaTopicDefinition], logger: Logger) async throws -> KafkaMockCluster {
        try await KafkaMockCluster(topics: topics, logger: logger)
    }

    init(topics: [KafkaTopicDefinition], logger: Logger) async throws {
        thread = BlockingThread(name: "kafka-mock")
        self.logger = logger
        handle = nil
        try start(topics)
    }

    isolated deinit { stop() }

    /// The configuration of a client of this cluster; for a child process, use its `environment`.
    package func configuration(clientID: String) -> KafkaConfiguration {
        .mockCluster(bootstrapServers: bootstrapServers, clientID: clientID)
    }

    /// Makes the broker drop and refuse connections from now on: an outage for tests. It cannot be reversed, because
    /// another process may hold the port by then, and librdkafka ends the process in that case.
    package func takeDown() {
        if let cluster { rd_kafka_mock_broker_set_down(cluster, -1) }
    }

    /// Ends the broker and discards its messages. Clients should be closed before.
    package func close() { stop() }

    private func start(_ topics: [KafkaTopicDefinition]) throws(KafkaError) {
        // The broker is part of a client, which itself is not used.
        let handle = try KafkaHandle(
            RD_KAFKA_PRODUCER, configuration: .mockCluster(bootstrapServers: "", clientID: "bda-embedded-broker"),
            role: .init(fixed: ["statistics.interval.ms": "0"]), signal: QueueSignal {}, logger: logger)
        self.handle = handle
        guard let cluster = rd_kafka_mock_cluster_new(handle.pointer, 1) else {
            throw KafkaError(code: .notImplemented, action: "start the embedded broker", cause: "librdkafka refused")
        }
        self.cluster = cluster
        for topic in topics {
            let code = rd_kafka_mock_topic_create(cluster, topic.name, Int32(clamping: topic.partitions), 1)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaError(code: .init(code), action: "create the topic '\(topic.name)' on the embedded broker")
            }
        }
        bootstrapServers = String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
    }

    private func stop() {
        bootstrapServers = ""
        if let cluster { rd_kafka_mock_cluster_destroy(cluster) }
        cluster = nil
        handle?.destroy()
        handle = nil
    }
}

internal import BlockingIO
internal import Timing
internal import CLibRdKafka
package import Logging
import ServiceLifecycle
import Settings

/// Reads all partitions of one topic outside of any group: every reader gets every message, and nothing is committed.
///
/// Partitions that are added to the topic later are not read.
package actor KafkaTopicReader {
    /// The position of the first message.
    package enum Start: Sendable {
        /// The oldest retained message.
        case beginning
        /// The first message that is sent after `make` has returned.
        case end
    }

    private let thread: BlockingThread
    private let configuration: KafkaConfiguration
    private let logger: Logger
    private let intake: MessageIntake
    private var handle: KafkaHandle?
    private var wake: QueueSignal?
    private var end: KafkaError?

    /// The thread on which all calls into librdkafka are made.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Opens `topic`, which must exist. Throws `KafkaError`, at the latest after about `limit`.
    ///
    /// A factory, because Swift 6.3's optimizer does not end on a package initializer of an actor whose deinit is
    /// isolated.
    package static func make(
        configuration: KafkaConfiguration, topic: String, from start: Start, within limit: Duration = .seconds(30),
        logger: Logger
    ) async throws -> KafkaTopicReader {
        try await KafkaTopicReader(
            configuration: configuration, topic: topic, from: start, within: limit, logger: logger)
    }

    init(
        configuration: KafkaConfiguration, topic: String, from start: Start, within limit: Duration = .seconds(30),
        logger: Logger
    ) async throws {
        thread = BlockingThread(name: "kafka-reader")
        self.configuration = configuration
        self.logger = logger
        intake = MessageIntake()
        handle = nil
        let signal = QueueSignal { [weak self] in
            // A C callback belongs to no task.
            Task { await self?.serve() }
        }
        wake = signal
        let handle = try KafkaHandle(
            RD_KAFKA_CONSUMER, configuration: configuration,
            role: .init(
                defaults: ["fetch.wait.max.ms": "100"],
                fixed: [
                    // librdkafka reads assigned partitions only in a client with a group; this client never joins it.
                    "group.id": configuration.clientID, "enable.auto.commit": "false",
                    "enable.auto.offset.store": "false", "queued.max.messages.kbytes": "1024",
                    // A reader whose position is no longer retained continues with the oldest message; that is logged.
                    "auto.offset.reset": "earliest", "statistics.interval.ms": "0",
                ]), signal: signal, logger: logger)
        self.handle = handle
        let deadline = Deadline.after(limit)
        let metadata = try handle.topics(named: topic, configuration: configuration, deadline: deadline)
        guard let count = metadata[topic] else {
            throw KafkaError(code: .unknownTopic, action: "read the topic '\(topic)'")
        }
        let positions = try (0..<Int32(count)).map { number in
            let partition = KafkaPartition(topic: topic, number: number)
            switch start {
            case .beginning: return (partition, Int64(RD_KAFKA_OFFSET_BEGINNING))
            // librdkafka resolves "the end" some time after the assignment: messages sent in between would be missed.
            case .end: return (partition, try handle.endOffset(of: partition, deadline: deadline))
            }
        }
        try intake.open(positions.map { $0.0 }, of: handle, wake: signal)
        let code = withPartitionList(positions) { rd_kafka_assign(handle.pointer, $0) }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code: .init(code), action: "read the topic '\(topic)'")
        }
    }

    isolated deinit {
        intake.close()
        handle?.destroy()
    }

    /// The next message, after at most `limit`; nil if none came in that time. Any number of tasks may wait.
    ///
    /// Throws `CancellationError` if the task is cancelled, the message is then delivered to another one; `KafkaError`
    /// if the reader is closed or librdkafka cannot continue.
    package func next(within limit: Duration) async throws -> KafkaReceivedMessage? {
        if let end { throw end }
        return try await intake.next(within: limit)
    }

    /// Closes the client. Throws if librdkafka does not release it within `limit`; the client is then left behind.
    package nonisolated func close(within limit: Duration = .seconds(10)) async throws {
        let deadline = Deadline.after(limit)
        try await closeClient("topic reader", within: limit + .seconds(1)) {
            await self.stopReading(deadline: deadline)
        }
    }

    private func serve() {
        guard let handle else { return }
        handle.drain { event in
            guard case .error(let reported) = event else { return }
            let error = configuration.explaining(reported)
            error.log(to: logger)
            if error.isFatal { fail(error) }
        }
        intake.deliver()
        for error in intake.takeErrors() { error.log(to: logger) }
    }

    private func fail(_ error: KafkaError) {
        end = error
        intake.fail(error)
    }

    private func stopReading(deadline: Deadline) -> Bool {
        guard let handle else { return true }
        self.handle = nil
        if end == nil { fail(KafkaError(code: .closed, action: "read from Kafka", cause: "the reader was closed")) }
        intake.close()
        guard handle.closeConsumer(deadline: deadline, { _ in }) else { return false }
        handle.destroy()
        return true
    }
}

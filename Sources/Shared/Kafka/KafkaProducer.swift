internal import BlockingIO
internal import CLibRdKafka
package import Logging
import ServiceLifecycle
import Timing

/// Sends messages, each acknowledged by all in-sync replicas.
///
/// The producer is idempotent: its own retries neither repeat nor reorder messages. After a fatal error of librdkafka
/// (it cannot tell which messages the broker has) it continues with a new client and sends the unconfirmed messages
/// again; such a message may arrive twice, so readers must recognize messages by an id of their own.
package actor KafkaProducer {
    /// The messages of one call of `send`.
    private final class Batch {
        let done = OneShot<Void>()
        var remaining: Int
        var failure: KafkaError?

        init(count: Int) { remaining = count }
    }

    private struct Pending {
        let message: KafkaMessage
        let batch: Batch
    }

    private let thread: BlockingThread
    private let configuration: KafkaConfiguration
    private let role: KafkaConfiguration.Role
    private let topics: [String]
    private let maximumMessageBytes: Int
    private let maximumUnconfirmedBytes: Int
    private let logger: Logger
    private var handle: KafkaHandle?
    /// Messages without a delivery report, by the number that librdkafka returns with it.
    private var pending: [UInt: Pending] = [:]
    /// Numbers of messages that librdkafka's queue had no room for, in order.
    private var backlog: [UInt] = []
    private var unconfirmedBytes = 0
    private var lastID: UInt = 0
    /// The reason why no more messages are accepted.
    private var end: KafkaError?
    private var idleWaiters: [OneShot<Void>] = []
    /// The number of clients with a fatal error since the last delivery.
    private var failedClients = 0

    /// The number of new clients after a fatal error.
    package private(set) var recoveries = 0

    /// The number of messages that were given to `send` and are not confirmed.
    package var unconfirmed: Int { pending.count }

    /// The thread on which all calls into librdkafka are made.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Creates the client; the first message opens connections.
    ///
    /// - Parameters:
    ///   - topics: the known destinations: the first message to any other topic may take a second longer.
    ///   - linger: how long a message waits for others to share a request; zero if a task waits for its delivery.
    ///   - maximumMessageBytes: `send` refuses larger messages (key, value and headers).
    ///   - messageTimeout: the time in which sending is retried before `send` throws; it must exceed a restart of the brokers.
    ///
    /// A factory, because Swift 6.3's optimizer does not end on a package initializer of an actor whose deinit is
    /// isolated.
    package static func make(
        configuration: KafkaConfiguration, topics: [String] = [], linger: Duration, maximumMessageBytes: Int = 65536,
        messageTimeout: Duration = .seconds(30 * 60), logger: Logger
    ) async throws -> KafkaProducer {
        try await KafkaProducer(
            configuration: configuration, topics: topics, linger: linger, maximumMessageBytes: maximumMessageBytes,
            messageTimeout: messageTimeout, logger: logger)
    }

    init(
        configuration: KafkaConfiguration, topics: [String] = [], linger: Duration, maximumMessageBytes: Int = 65536,
        maximumUnconfirmedBytes: Int = 64 << 20, messageTimeout: Duration = .seconds(30 * 60), logger: Logger
    ) async throws {
        thread = BlockingThread(name: "kafka-producer")
        self.configuration = configuration
        self.topics = topics
        self.maximumMessageBytes = maximumMessageBytes
        self.maximumUnconfirmedBytes = maximumUnconfirmedBytes
        self.logger = logger
        role = .init(fixed: [
            "enable.idempotence": "true", "acks": "all", "linger.ms": "\(linger.milliseconds)",
            "message.timeout.ms": "\(messageTimeout.milliseconds)", "statistics.interval.ms": "0",
            // Otherwise messages without key or partition are sent to one partition for 10 ms, not to all in turn.
            "sticky.partitioning.linger.ms": "0",
        ])
        handle = nil
        handle = try makeHandle()
    }

    isolated deinit { handle?.destroy() }

    /// Sends `message`; returns when all in-sync replicas have it.
    ///
    /// Waits during an outage of the brokers, up to the message timeout. Throws `KafkaError`, or `CancellationError` if
    /// the task is cancelled: the message may arrive nevertheless.
    package func send(_ message: KafkaMessage) async throws {
        try await send(contentsOf: [message])
    }

    /// As `send(_:)`, but waits at most `limit`.
    ///
    /// Throws `KafkaError` if the message is not confirmed by then. It may arrive nevertheless: librdkafka continues to
    /// send it up to the message timeout, and the message cannot be withdrawn.
    package func send(_ message: KafkaMessage, within limit: Duration) async throws {
        try await send(contentsOf: [message], within: limit)
    }

    /// Sends `messages` together; returns when all in-sync replicas have all of them. Messages of one partition arrive
    /// in this order.
    ///
    /// Throws the first error after all reports have come; all messages without an error have arrived. With a `limit`
    /// it also throws if they are not all confirmed by then, see `send(_:within:)`.
    ///
    /// It throws immediately for a message that is too large, and if the messages exceed the limit of unconfirmed
    /// messages, because an outage of the brokers must not fill the memory.
    package func send(contentsOf messages: [KafkaMessage], within limit: Duration? = nil) async throws {
        guard let first = messages.first else { return }
        for message in messages where message.size > maximumMessageBytes {
            throw KafkaError(
                code: .messageTooLarge, action: "send to '\(message.topic)'",
                cause: "the message has \(message.size) bytes, \(maximumMessageBytes) are allowed")
        }
        if let end { throw end }
        let size = messages.reduce(0) { $0 + $1.size }
        guard unconfirmedBytes + size <= maximumUnconfirmedBytes else {
            throw failure(
                .queueFull, topic: first.topic,
                cause: "\(pending.count) messages of \(unconfirmedBytes) bytes wait for the brokers already")
        }
        unconfirmedBytes += size
        let batch = Batch(count: messages.count)
        for message in messages {
            lastID += 1
            pending[lastID] = Pending(message: message, batch: batch)
            backlog.append(lastID)
        }
        submitBacklog()
        guard let limit else { return try await batch.done.value }
        let timer = Task {
            try await Task.sleep(for: limit)
            batch.done.resolve(.failure(self.lateness(limit, topic: first.topic)))
        }
        defer { timer.cancel() }
        try await batch.done.value
    }

    private func lateness(_ limit: Duration, topic: String) -> KafkaError {
        failure(
            .timedOut, topic: topic, cause: "not confirmed within \(limit); the message may still arrive",
            likelyCause: handle?.likelyCause())
    }

    /// Waits at most `limit` for the messages under way, then closes the client. For a message that is not confirmed by
    /// then, `send` throws an error. Throws if librdkafka does not release the client in time.
    package nonisolated func close(within limit: Duration = .seconds(10)) async throws {
        try await closeClient("producer", within: limit + .seconds(5)) {
            await self.flushAndDestroy(within: limit)
            return true
        }
    }

    private func makeHandle() throws(KafkaError) -> KafkaHandle {
        let signal = QueueSignal { [weak self] in
            // A C callback belongs to no task.
            Task { await self?.serve() }
        }
        let handle = try KafkaHandle(
            RD_KAFKA_PRODUCER, configuration: configuration, role: role, signal: signal, logger: logger)
        handle.prepare(topics: topics)
        return handle
    }

    private func flushAndDestroy(within limit: Duration) async {
        if end == nil { end = KafkaError(code: .closed, action: "send to Kafka", cause: "the producer was closed") }
        if !pending.isEmpty {
            let idle = OneShot<Void>()
            idleWaiters.append(idle)
            let timer = Task {
                try await Task.sleep(for: limit)
                idle.resolve(.success(()))
            }
            try? await idle.value
            timer.cancel()
        }
        // Another call may have closed it in the meantime.
        guard let handle else { return }
        self.handle = nil
        rd_kafka_purge(handle.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        handle.drain { if case .delivered(let reports) = $0 { note(reports, of: handle) } }
        for id in pending.keys { finish(id, failure: end) }
        backlog.removeAll()
        handle.destroy()
    }

    /// Reads the reports of librdkafka, and continues with the work that they make possible.
    private func serve() {
        guard let handle else { return }
        var fatal: KafkaError?
        handle.drain { event in
            switch event {
            case .delivered(let reports): note(reports, of: handle)
            case .error(let error):
                if error.isFatal { fatal = error } else { configuration.explaining(error).log(to: logger) }
            case .assigned, .revoked, .committed, .statistics: break
            }
        }
        if let fatal { replaceClient(after: fatal) }
        submitBacklog()
    }

    private func submitBacklog() {
        var submitted = 0
        defer { backlog.removeFirst(submitted) }
        for id in backlog {
            guard let handle, let message = pending[id]?.message else {
                submitted += 1
                continue
            }
            let code = Self.produce(message, id: id, on: handle.pointer)
            switch code {
            case RD_KAFKA_RESP_ERR_NO_ERROR: break
            // Reports of messages under way make room, and call this function again.
            case RD_KAFKA_RESP_ERR__QUEUE_FULL: return
            // The message stays pending; `serve` receives the error and sends the message by a new client.
            case RD_KAFKA_RESP_ERR__FATAL: return
            default: finish(id, failure: failure(.init(code), topic: message.topic))
            }
            submitted += 1
        }
    }

    private func note(_ reports: [(id: UInt, code: KafkaError.Code)], of handle: KafkaHandle) {
        // The next client sends the messages that a failed client did not deliver.
        let hasFailed = handle.hasFailed
        for (id, code) in reports {
            if code.rawValue == 0 {
                failedClients = 0
                handle.forgetErrors()
                finish(id, failure: nil)
            } else if !hasFailed, let topic = pending[id]?.message.topic {
                finish(id, failure: failure(code, topic: topic))
            }
        }
    }

    private func finish(_ id: UInt, failure: KafkaError?) {
        guard let entry = pending.removeValue(forKey: id) else { return }
        unconfirmedBytes -= entry.message.size
        if entry.batch.failure == nil { entry.batch.failure = failure }
        entry.batch.remaining -= 1
        if entry.batch.remaining == 0 {
            entry.batch.done.resolve(entry.batch.failure.map { .failure($0) } ?? .success(()))
        }
        if pending.isEmpty {
            for waiter in idleWaiters { waiter.resolve(.success(())) }
            idleWaiters.removeAll()
        }
    }

    /// Sends the unconfirmed messages by a new client. Ends after several clients in a row failed without a delivery.
    private func replaceClient(after error: KafkaError) {
        guard let old = handle else { return }
        handle = nil
        failedClients += 1
        logger.warning(
            "Kafka producer continues with a new client", metadata: [.error: "\(error)", .count: "\(pending.count)"])
        rd_kafka_purge(old.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        // Reports of delivered messages may still be in the queue.
        old.drain { if case .delivered(let reports) = $0 { note(reports, of: old) } }
        old.destroy()
        guard failedClients <= 5 else { return giveUp(error) }
        do throws(KafkaError) {
            handle = try makeHandle()
        } catch {
            return giveUp(error)
        }
        recoveries += 1
        backlog = pending.keys.sorted()
    }

    private func giveUp(_ error: KafkaError) {
        end = error
        for id in pending.keys { finish(id, failure: error) }
        backlog.removeAll()
    }

    private func failure(_ code: KafkaError.Code, topic: String) -> KafkaError {
        if let end, code == .purgedInQueue || code == .purgedInFlight { return end }
        return failure(
            code, topic: topic, cause: code.text, likelyCause: code == .messageTimedOut ? handle?.likelyCause() : nil)
    }

    private func failure(
        _ code: KafkaError.Code, topic: String, cause: String, likelyCause: KafkaError? = nil
    ) -> KafkaError {
        configuration.explaining(
            KafkaError(
                code: likelyCause?.code ?? code, action: "send to '\(topic)'",
                cause: likelyCause.map { "\(cause): \($0.cause)" } ?? cause))
    }

    private static func produce(_ message: KafkaMessage, id: UInt, on handle: OpaquePointer) -> rd_kafka_resp_err_t {
        var headers: OpaquePointer?
        if !message.headers.isEmpty {
            headers = rd_kafka_headers_new(message.headers.count)
            for header in message.headers {
                _ = header.value.withUnsafeBytes {
                    rd_kafka_header_add(headers, header.name, -1, $0.baseAddress, $0.count)
                }
            }
        }
        let code = message.value.withUnsafeBytes { value in
            (message.key ?? []).withUnsafeBytes { key in
                bda_rd_kafka_produce(
                    handle, message.topic, message.partition ?? -1, message.key == nil ? nil : key.baseAddress,
                    key.count, value.baseAddress, value.count, message.timestamp ?? 0, headers,
                    UnsafeMutableRawPointer(bitPattern: id))
            }
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR, let headers { rd_kafka_headers_destroy(headers) }
        return code
    }

    /// Makes the client fail with a fatal error, by librdkafka's hook for tests.
    func induceFatalError() {
        guard let handle else { return }
        rd_kafka_test_fatal_error(handle.pointer, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "induced")
    }
}

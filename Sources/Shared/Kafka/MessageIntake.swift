internal import BlockingIO
internal import CLibRdKafka

/// The queues of the partitions that are read, and the tasks that wait for a message. Confined to the actor of its
/// client.
///
/// A message is taken off a queue only if a task waits for it, so the other messages stay within librdkafka's limits.
/// Partitions are read in turn, so that messages published round-robin arrive in about the order of publishing.
///
/// The queues are taken from librdkafka before the assignment starts, and separated from its common queue: that queue
/// can then be read for rebalances while messages wait, and no partition must be paused (which takes up to a second,
/// and persists after a rebalance).
final class MessageIntake {
    private final class Partition {
        let id: KafkaPartition
        let queue: KafkaQueue
        var offsets = OffsetTracker()

        init(id: KafkaPartition, queue: KafkaQueue) {
            self.id = id
            self.queue = queue
        }
    }

    /// The result of an acknowledgement.
    enum Acknowledgement: Equatable {
        /// The partition's new position.
        case position(Int64)
        /// Earlier messages are not acknowledged yet.
        case waits
        /// The assignment with which the message came has been revoked.
        case stale
    }

    /// Errors of partitions since `takeErrors`, the newest of each code.
    private var errors: [KafkaError.Code: KafkaError] = [:]
    private var partitions: [Partition] = []
    private var cursor = 0
    /// Counts assignments.
    private var assignment = 0
    /// Messages that were taken for tasks that were cancelled in the meantime: at most one for each waiting task.
    private var returned: [KafkaReceivedMessage] = []
    private var waiters: [OneShot<KafkaReceivedMessage?>] = []

    /// The number of tasks that wait in `next`.
    var waiting: Int { waiters.count }

    /// Whether a partition has entries that were not read because no task waits.
    var hasUnread: Bool { partitions.contains { $0.queue.signal.isRaised } }

    /// Errors that prevented partitions from being read, such as a missing right or a truncated log; librdkafka
    /// continues by itself where possible.
    func takeErrors() -> [KafkaError] {
        defer { errors.removeAll() }
        return Array(errors.values)
    }

    /// Takes the queues of `ids`; must be called before librdkafka starts to read them.
    func open(_ ids: [KafkaPartition], of handle: KafkaHandle, wake: QueueSignal) throws(KafkaError) {
        close()
        assignment += 1
        for id in ids.sorted(by: { ($0.number, $0.topic) < ($1.number, $1.topic) }) {
            guard let queue = rd_kafka_queue_get_partition(handle.pointer, id.topic, id.number) else {
                throw KafkaError(code: .unknownTopic, action: "read \(id)")
            }
            rd_kafka_queue_forward(queue, nil)
            partitions.append(
                Partition(id: id, queue: KafkaQueue(owning: queue, signal: QueueSignal { wake.raise() })))
        }
    }

    /// Releases the queues; must be called before librdkafka stops reading, and before the client is closed.
    func close() {
        for partition in partitions { partition.queue.close() }
        partitions.removeAll()
        returned.removeAll()
        cursor = 0
    }

    /// The next message, after at most `limit`; nil if none came in that time.
    ///
    /// Throws `CancellationError` if the task is cancelled; a message that was taken for it goes to the next task.
    func next(
        within limit: Duration, isolation: isolated any Actor = #isolation
    ) async throws -> KafkaReceivedMessage? {
        try Task.checkCancellation()
        if waiters.isEmpty, let message = take() { return message }
        let waiter = OneShot<KafkaReceivedMessage?>()
        waiters.append(waiter)
        deliver()
        let timer = Task {
            try await Task.sleep(for: limit)
            waiter.resolve(.success(nil))
        }
        defer {
            timer.cancel()
            waiters.removeAll { $0 === waiter }
        }
        let message = try await waiter.value
        if Task.isCancelled, let message {
            if message.assignment == assignment { returned.append(message) }
            deliver()
            throw CancellationError()
        }
        return message
    }

    /// Hands messages to waiting tasks as long as there are both.
    func deliver() {
        while !waiters.isEmpty, let message = take() {
            // A waiter whose time has passed or whose task was cancelled refuses the message.
            while let waiter = waiters.first {
                waiters.removeFirst()
                if waiter.resolve(.success(message)) { break }
                if waiters.isEmpty { returned.insert(message, at: 0) }
            }
        }
    }

    /// Ends all waits with `error`.
    func fail(_ error: any Error) {
        for waiter in waiters { waiter.resolve(.failure(error)) }
        waiters.removeAll()
    }

    /// Notes that `message` need not be delivered again.
    func acknowledge(_ message: KafkaReceivedMessage) -> Acknowledgement {
        guard message.assignment == assignment,
            let partition = partitions.first(where: {
                $0.id.number == message.partition && $0.id.topic == message.topic
            })
        else { return .stale }
        return partition.offsets.acknowledge(message.offset).map(Acknowledgement.position) ?? .waits
    }

    private func take() -> KafkaReceivedMessage? {
        if !returned.isEmpty { return returned.removeFirst() }
        for step in 0..<partitions.count {
            let index = (cursor + step) % partitions.count
            if let message = take(from: partitions[index]) {
                cursor = (index + 1) % partitions.count
                return message
            }
        }
        return nil
    }

    private func take(from partition: Partition) -> KafkaReceivedMessage? {
        let signal = partition.queue.signal
        while signal.isRaised {
            signal.clear()
            guard let raw = rd_kafka_consume_queue(partition.queue.pointer, 0) else { return nil }
            defer { rd_kafka_message_destroy(raw) }
            signal.keepRaised()
            guard raw.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                let error = KafkaError(
                    code: .init(raw.pointee.err), action: "read \(partition.id)",
                    cause: rd_kafka_message_errstr(raw).map { String(cString: $0) })
                errors[error.code] = error
                continue
            }
            partition.offsets.took(raw.pointee.offset)
            return KafkaReceivedMessage(copying: raw, topic: partition.id.topic, assignment: assignment)
        }
        return nil
    }
}

internal import BlockingIO
internal import Timing
internal import CLibRdKafka
package import Logging
package import Metrics
import ServiceLifecycle

/// A member of a consumer group whose tasks take one message each.
///
/// `run` must run as long as the member is to keep its partitions: it answers rebalances and reports to Kafka that the
/// member is active, however long the caller works between two messages.
///
/// Delivery is at least once: a message that is not acknowledged is delivered again after a crash or a rebalance.
package actor KafkaConsumer: Service {
    private let thread: BlockingThread
    private let configuration: KafkaConfiguration
    private let topics: [String]
    private let logger: Logger
    private let metrics: KafkaConsumerMetrics
    private let intake: MessageIntake
    private var handle: KafkaHandle?
    private var wake: QueueSignal?
    private var end: KafkaError?
    private var isCommitting = false
    private var needsCommit = false
    private var waitsBeforeCommit = false
    private var outage: ReadingOutage
    private var isConnected = false

    /// The assignment of this member and its figures.
    package private(set) var state = State()

    package struct State: Sendable, Hashable {
        /// The partitions that this member reads.
        package internal(set) var assignment: [KafkaPartition] = []
        /// Assignments that were received.
        package internal(set) var rebalances = 0
        /// Assignments that were revoked, including `lostAssignments`.
        package internal(set) var revocations = 0
        /// Assignments that the group had given to other members before this member was informed.
        package internal(set) var lostAssignments = 0
        /// Acknowledgements that came after their partition was revoked; the message is delivered again.
        package internal(set) var staleAcknowledgements = 0
        /// Commits that failed; the messages are delivered again if the partition moves now.
        package internal(set) var failedCommits = 0
        /// Times that the group was joined again because the topics could not be read.
        package internal(set) var rejoins = 0
        /// Whether an error that librdkafka does not resolve prevents this member from reading its topics.
        package internal(set) var isReadingBlocked = false
        /// Unread messages in the assigned partitions, by librdkafka's newest statistics; nil while the number is
        /// unknown.
        package internal(set) var lag: Int64?
    }

    /// The thread on which all calls into librdkafka are made.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Creates the client; it joins `group` when `run` begins.
    ///
    /// A factory, because Swift 6.3's optimizer does not end on a package initializer of an actor whose deinit is
    /// isolated.
    package static func make(
        configuration: KafkaConfiguration, group: String, topics: [String], metrics: MetricsRegistry, logger: Logger
    ) async throws -> KafkaConsumer {
        try await KafkaConsumer(
            configuration: configuration, group: group, topics: topics, metrics: metrics, logger: logger)
    }

    init(
        configuration: KafkaConfiguration, group: String, topics: [String], metrics: MetricsRegistry, logger: Logger
    ) async throws {
        try await self.init(
            configuration: configuration, group: group, topics: topics, metrics: metrics, logger: logger,
            properties: [:])
    }

    /// As above, with `properties` that override this module's own: for tests, which cannot wait for minutes.
    init(
        configuration: KafkaConfiguration, group: String, topics: [String], metrics: MetricsRegistry, logger: Logger,
        properties: [String: String], rejoinInterval: Duration = .seconds(15)
    ) async throws {
        thread = BlockingThread(name: "kafka-consumer")
        self.configuration = configuration
        self.topics = topics
        self.logger = logger
        self.metrics = KafkaConsumerMetrics(registry: metrics)
        intake = MessageIntake()
        outage = ReadingOutage(interval: rejoinInterval, patience: rejoinInterval * 8, now: .now)
        handle = nil
        let signal = QueueSignal { [weak self] in
            // A C callback belongs to no task.
            Task { await self?.serve() }
        }
        wake = signal
        handle = try KafkaHandle(
            RD_KAFKA_CONSUMER, configuration: configuration,
            role: Self.role(group: group, properties: properties), signal: signal, logger: logger)
    }

    isolated deinit {
        intake.close()
        handle?.destroy()
    }

    /// Joins the group and stays a member until the task is cancelled; `close` then leaves the group.
    ///
    /// Throws `KafkaError` if librdkafka cannot continue with this client.
    package func run() async throws {
        guard let handle else { throw closedError() }
        try subscribe(handle)
        // librdkafka's signal wakes the actor for all work. This loop only polls within max.poll.interval.ms, as
        // required.
        while !Task.isCancelled, self.handle != nil {
            serve()
            if let end { throw end }
            waitsBeforeCommit = false
            commitIfNeeded()
            try rejoinIfNeeded()
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// The next message, after at most `limit`; nil if none came in that time. Any number of tasks may wait.
    ///
    /// Throws `CancellationError` if the task is cancelled, the message is then delivered to another one; `KafkaError`
    /// if the consumer is closed or librdkafka cannot continue.
    package func next(within limit: Duration) async throws -> KafkaReceivedMessage? {
        if let end { throw end }
        return try await intake.next(within: limit)
    }

    /// Tasks that wait in `next`.
    package var waiting: Int { intake.waiting }

    /// Notes that `message` need not be delivered again. The commit happens in the background; if it fails, or the
    /// partition was revoked in the meantime, that is counted, and the message is delivered again.
    package func acknowledge(_ message: KafkaReceivedMessage) {
        switch intake.acknowledge(message) {
        case .waits: return
        case .stale: noteStaleAcknowledgement()
        case .position(let offset):
            guard let handle else { return }
            let partition = KafkaPartition(topic: message.topic, number: message.partition)
            let code = withPartitionList([(partition, offset)]) { list in
                let code = rd_kafka_offsets_store(handle.pointer, list)
                return code == RD_KAFKA_RESP_ERR_NO_ERROR ? list.pointee.elems[0].err : code
            }
            // `_STATE` means that librdkafka has processed the revocation, but this actor has not yet.
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return noteStaleAcknowledgement() }
            needsCommit = true
            commitIfNeeded()
        }
    }

    /// Leaves the group, so that other members get the partitions immediately, and closes the client.
    ///
    /// Throws if librdkafka has not done so within `limit`; the client is then left behind, and the process should end.
    package nonisolated func close(within limit: Duration = .seconds(10)) async throws {
        let deadline = Deadline.after(limit)
        try await closeClient("consumer", within: limit + .seconds(1)) { await self.leaveGroup(deadline: deadline) }
    }

    /// Makes the client fail with a fatal error, by librdkafka's hook for tests.
    func induceFatalError() {
        guard let handle else { return }
        rd_kafka_test_fatal_error(handle.pointer, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "induced")
    }

    private static func role(group: String, properties: [String: String]) -> KafkaConfiguration.Role {
        let defaults = [
            // A topic that was created again is found after this time, not after five minutes.
            "topic.metadata.refresh.interval.ms": "10000",
            "session.timeout.ms": "30000",
            // Members are informed of a new member by a heartbeat, so this is how long it waits for its partitions.
            "heartbeat.interval.ms": "1000", "fetch.wait.max.ms": "100",
            // A job has no limit here: the client is polled for reports during the job.
            "max.poll.interval.ms": "600000",
        ]
        let fixed = [
            "group.id": group, "enable.auto.commit": "false", "enable.auto.offset.store": "false",
            "auto.offset.reset": "earliest", "partition.assignment.strategy": "roundrobin",
            // With 1, a partition whose queue is full when a fetch is sent is missing from it: 1 % came 500 ms late.
            "queued.min.messages": "10", "queued.max.messages.kbytes": "1024", "fetch.message.max.bytes": "65536",
            "statistics.interval.ms": "10000",
        ]
        return .init(defaults: defaults, fixed: fixed.merging(properties) { $1 })
    }

    private func serve() {
        guard let handle else { return }
        handle.drain { handleEvent($0, of: handle) }
        intake.deliver()
        for error in intake.takeErrors() { note(configuration.explaining(error)) }
    }

    private func subscribe(_ handle: KafkaHandle) throws(KafkaError) {
        let code = withPartitionList(topics.map { (KafkaPartition(topic: $0, number: -1), -1) }) {
            rd_kafka_subscribe(handle.pointer, $0)
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError(code: .init(code), action: "subscribe to \(topicNames)")
        }
    }

    /// Joins the group again while the topics cannot be read, and logs the end of the outage.
    private func rejoinIfNeeded() throws(KafkaError) {
        guard let handle else { return }
        switch outage.advice(isConnected: isConnected, hasUnread: intake.hasUnread, now: .now) {
        case .wait: return
        case .rejoin:
            state.rejoins += 1
            metrics.rejoins.increment(by: 1)
            if !state.isReadingBlocked { noteOutage(nil) }
            try subscribe(handle)
        case .over(let rejoins):
            state.isReadingBlocked = false
            metrics.readingBlocked.record(0)
            logger.warning(
                "Kafka topics can be read again", metadata: [.topic: "\(topicNames)", .count: "\(rejoins)"])
        }
    }

    private var topicNames: String { topics.joined(separator: ", ") }

    /// Logs an error of librdkafka; of the errors of one outage, only the first.
    private func note(_ error: KafkaError) {
        let begins = outage.note(error, now: .now)
        if begins { noteOutage(error) }
        if ReadingOutage.concerns(error) {
            logger.debug("Kafka reports an error", metadata: [.code: "\(error.code)", .error: "\(error)"])
        } else {
            error.log(to: logger)
        }
        if error.isFatal { fail(error) }
    }

    private func noteOutage(_ error: KafkaError?) {
        state.isReadingBlocked = true
        metrics.readingBlocked.record(1)
        let reason = error.map { "\($0)" } ?? "the consumer group gives no assignment"
        logger.warning(
            "Kafka topics cannot be read; the consumer joins its group again until they can",
            metadata: [.topic: "\(topicNames)", .error: "\(reason)", .hint: "\(error?.hint ?? "")"])
    }

    private func handleEvent(_ event: KafkaEvent, of handle: KafkaHandle) {
        switch event {
        case .assigned(let partitions):
            guard let wake else { return }
            do throws(KafkaError) {
                try intake.open(partitions, of: handle, wake: wake)
            } catch {
                return fail(error)
            }
            assign(partitions, of: handle)
            outage.noteAssignment(now: .now)
            state.rebalances += 1
            metrics.rebalances.increment(by: 1)
            noteAssignment(partitions)
        case .revoked:
            outage.noteRevocation(now: .now)
            state.revocations += 1
            if rd_kafka_assignment_lost(handle.pointer) != 0 {
                state.lostAssignments += 1
                metrics.lostAssignments.increment(by: 1)
            } else {
                // Requests keep their order, so this one is sent before the partitions are revoked.
                requestCommit(of: handle)
            }
            intake.close()
            assign(nil, of: handle)
            noteAssignment([])
        case .committed(let code):
            noteCommit(code)
        case .statistics(let json):
            guard let statistics = KafkaStatistics(json: json) else { return }
            state.lag = statistics.lag(of: state.assignment)
            metrics.record(lag: state.lag)
            metrics.connectedBrokers.record(statistics.connectedBrokers)
            isConnected = statistics.connectedBrokers > 0
        case .error(let error):
            note(configuration.explaining(error))
        case .delivered: break
        }
    }

    private func assign(_ partitions: [KafkaPartition]?, of handle: KafkaHandle) {
        let code =
            if let partitions {
                // The offset "invalid" selects the committed offset.
                withPartitionList(partitions.map { ($0, Int64(RD_KAFKA_OFFSET_INVALID)) }) {
                    rd_kafka_assign(handle.pointer, $0)
                }
            } else {
                rd_kafka_assign(handle.pointer, nil)
            }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            fail(KafkaError(code: .init(code), action: "take over the assigned partitions"))
        }
    }

    private func noteAssignment(_ partitions: [KafkaPartition]) {
        state.assignment = partitions.sorted()
        state.lag = partitions.isEmpty ? 0 : nil
        metrics.assignedPartitions.record(partitions.count)
        metrics.record(lag: state.lag)
        logger.debug("Kafka partitions assigned", metadata: [.count: "\(partitions.count)"])
    }

    private func noteStaleAcknowledgement() {
        state.staleAcknowledgements += 1
        metrics.staleAcknowledgements.increment(by: 1)
    }

    /// At most one commit is under way; acknowledgements that come in the meantime share the next one.
    private func commitIfNeeded() {
        guard let handle, needsCommit, !isCommitting, !waitsBeforeCommit else { return }
        requestCommit(of: handle)
    }

    private func requestCommit(of handle: KafkaHandle) {
        guard needsCommit else { return }
        needsCommit = false
        isCommitting = handle.commit()
    }

    private func noteCommit(_ code: KafkaError.Code) {
        isCommitting = false
        if code.rawValue != 0, code != .noOffset {
            state.failedCommits += 1
            metrics.failedCommits.increment(by: 1)
            logger.debug("Kafka commit failed", metadata: [.code: "\(code)"])
            // `run` retries within a second; after a rebalance nothing is left to commit, which is no error.
            needsCommit = true
            waitsBeforeCommit = true
        } else {
            commitIfNeeded()
        }
    }

    private func fail(_ error: KafkaError) {
        end = error
        intake.fail(error)
    }

    private func closedError() -> KafkaError {
        KafkaError(code: .closed, action: "read from Kafka", cause: "the consumer was closed")
    }

    /// Returns whether the client was closed in time.
    private func leaveGroup(deadline: Deadline) -> Bool {
        guard let handle else { return true }
        self.handle = nil
        if end == nil { fail(closedError()) }
        requestCommit(of: handle)
        intake.close()
        guard handle.closeConsumer(deadline: deadline, { handleEvent($0, of: handle) }) else { return false }
        handle.destroy()
        return true
    }
}

internal import BlockingIO
internal import CLibRdKafka
internal import Logging
internal import ServiceLifecycle

/// The reports of librdkafka besides messages.
enum KafkaEvent {
    /// The numbers that were given with the messages, each with its error; the code is `NO_ERROR` for a delivered
    /// message.
    case delivered([(id: UInt, code: KafkaError.Code)])
    case assigned([KafkaPartition])
    case revoked
    case committed(KafkaError.Code)
    case statistics(String)
    case error(KafkaError)
}

/// The owner of one `rd_kafka_t` and of the queue of its reports. Confined to one actor: every call into librdkafka
/// that may block is made on that actor's thread.
final class KafkaHandle {
    let pointer: OpaquePointer
    private let events: KafkaQueue

    /// The queue of `events`, for replies that are to arrive there.
    var reports: OpaquePointer { events.pointer }

    private let logger: Logger
    private let tokenFile: String?
    private var rotatingPassword: RotatingPassword?
    /// The newest errors that librdkafka reported by itself, at most one for each code: the likely cause of a time-out.
    private(set) var recentErrors: [KafkaError.Code: KafkaError] = [:]
    private var topics: [OpaquePointer] = []
    private var isDestroyed = false

    /// Creates the client. `signal` is raised whenever `drain` has reports to read.
    init(
        _ type: rd_kafka_type_t, configuration: KafkaConfiguration, role: KafkaConfiguration.Role, signal: QueueSignal,
        logger: Logger
    ) throws(KafkaError) {
        try KafkaLibrary.checkVersion()
        let properties = try configuration.makeProperties(role: role)
        properties.enableEvents(
            RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_REBALANCE
                | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_STATS
                | (configuration.tokenFile == nil ? 0 : RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH))
        tokenFile = configuration.tokenFile
        rotatingPassword = RotatingPassword(configuration)
        pointer = try properties.makeClient(type)
        self.logger = logger
        let queue: OpaquePointer
        if type == RD_KAFKA_CONSUMER {
            // All events except messages, whose partition queues are separated from it, then arrive on the group's
            // queue.
            rd_kafka_poll_set_consumer(pointer)
            queue = rd_kafka_queue_get_consumer(pointer)
        } else {
            queue = rd_kafka_queue_get_main(pointer)
        }
        events = KafkaQueue(owning: queue, signal: signal)
        // Logs are read as events on the actor's thread, so that a slow log destination does not block network threads.
        rd_kafka_set_log_queue(pointer, nil)
    }

    /// Reads all reports. Logs are written; all other reports are passed to `body`.
    func drain(_ body: (KafkaEvent) -> Void) {
        events.signal.clear()
        while read(from: events.pointer, milliseconds: 0, body) {}
    }

    /// Reads one report from `queue` and waits for it. Returns false if none came.
    func read(from queue: OpaquePointer, milliseconds: Int32, _ body: (KafkaEvent) -> Void) -> Bool {
        guard let event = rd_kafka_queue_poll(queue, milliseconds) else { return false }
        defer { rd_kafka_event_destroy(event) }
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_DR:
            var reports: [(id: UInt, code: KafkaError.Code)] = []
            while let message = rd_kafka_event_message_next(event) {
                reports.append((UInt(bitPattern: message.pointee._private), KafkaError.Code(message.pointee.err)))
            }
            body(.delivered(reports))
        case RD_KAFKA_EVENT_REBALANCE:
            // The assignor is eager: it revokes all partitions, or assigns all of a new assignment.
            let isAssignment = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
            body(isAssignment ? .assigned(partitions(of: rd_kafka_event_topic_partition_list(event))) : .revoked)
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            body(.committed(KafkaError.Code(rd_kafka_event_error(event))))
        case RD_KAFKA_EVENT_STATS:
            body(.statistics(String(cString: rd_kafka_event_stats(event))))
        case RD_KAFKA_EVENT_ERROR:
            let error = reportedError(event)
            recentErrors[error.code] = error
            // With another password the next connection may succeed, regardless of earlier reports.
            if error.isAuthentication, rotatingPassword?.renew(on: pointer) == true { forgetErrors() }
            body(.error(error))
        case RD_KAFKA_EVENT_LOG:
            log(event)
        case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
            if let tokenFile { OAuthBearerToken.refresh(pointer, file: tokenFile) }
        default:
            logger.debug(
                "librdkafka reported an unknown event",
                metadata: [.detail: "\(String(cString: rd_kafka_event_name(event)))"])
        }
        return true
    }

    /// A working connection ends the causes of earlier errors.
    func forgetErrors() { recentErrors.removeAll() }

    /// Whether the client cannot be used any more.
    var hasFailed: Bool { rd_kafka_fatal_error(pointer, nil, 0) != RD_KAFKA_RESP_ERR_NO_ERROR }

    /// The most specific of `recentErrors`: a refused log-in explains more than the lost connection that follows from
    /// it.
    func likelyCause() -> KafkaError? {
        let telling: [KafkaError.Code] = [.authentication, .ssl, .resolve, .transport]
        return telling.lazy.compactMap { self.recentErrors[$0] }.first
    }

    /// Makes librdkafka look up `names` as soon as it is connected. Without this, the first message to a topic waits up
    /// to a second for the lookup.
    func prepare(topics names: [String]) {
        topics += names.compactMap { rd_kafka_topic_new(pointer, $0, nil) }
    }

    /// Frees the client; may wait for its threads. All other handles of its queues must have been closed before.
    func destroy() {
        guard !isDestroyed else { return }
        isDestroyed = true
        events.close()
        for topic in topics { rd_kafka_topic_destroy(topic) }
        // A consumer was closed before with a time limit; here the close would have none.
        rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }

    private func reportedError(_ event: OpaquePointer) -> KafkaError {
        let text = rd_kafka_event_error_string(event).map { String(cString: $0) }
        var code = KafkaError.Code(rd_kafka_event_error(event))
        // One side refused the other's certificate, which librdkafka sometimes reports as a lost connection.
        if code == .transport, text?.contains(/SSL routines:.*(certificate|unknown ca)/) == true { code = .ssl }
        return KafkaError(
            code: code, action: "talk to Kafka", cause: text,
            isFatal: rd_kafka_event_error_is_fatal(event) != 0)
    }

    private func log(_ event: OpaquePointer) {
        var facility: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        var level: Int32 = 0
        guard rd_kafka_event_log(event, &facility, &text, &level) == 0, let facility, let text else { return }
        let name = String(cString: facility)
        logger.log(
            level: Self.level(syslog: level, facility: name), "librdkafka",
            metadata: [.facility: "\(name)", .detail: "\(String(cString: text))"])
    }

    /// librdkafka logs "error" for a connection that it opens again by itself: a lasting failure is returned by a call.
    static func level(syslog: Int32, facility: String) -> Logger.Level {
        switch facility {
        // Broken connections and the end of a client are reported as errors as well.
        case "FAIL", "FATAL": return .debug
        // Properties of consumers in a producer, and vice versa: users set them for all clients.
        case "CONFWARN": return .debug
        default: break
        }
        return switch syslog {
        case ...2: .error
        case 3, 4: .warning
        case 5, 6: .info
        default: .debug
        }
    }
}

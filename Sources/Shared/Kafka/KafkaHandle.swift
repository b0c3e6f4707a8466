internal import BlockingIO
internal import CLibRdKafka
internal import Logging
internal import ServiceLifecycle

/// What librdkafka reports beside messages.
enum KafkaEvent {
    /// Numbers that were given with the messages, each with its error; the code is `NO_ERROR` when it was delivered.
    case delivered([(id: UInt, code: KafkaError.Code)])
    case assigned([KafkaPartition])
    case revoked
    case committed(KafkaError.Code)
    case statistics(String)
    case error(KafkaError)
}

/// Owner of one `rd_kafka_t` and of the queue on which it reports. Confined to one actor: every call into librdkafka
/// that may wait is made on that actor's thread.
final class KafkaHandle {
    let pointer: OpaquePointer
    private let events: KafkaQueue

    /// The queue of `events`, for replies that are to arrive there.
    var reports: OpaquePointer { events.pointer }

    private let logger: Logger
    private let tokenFile: String?
    private var rotatingPassword: RotatingPassword?
    /// The newest errors that librdkafka reported by itself, at most one of each code: the cause behind a time-out.
    private(set) var recentErrors: [KafkaError.Code: KafkaError] = [:]
    private var topics: [OpaquePointer] = []
    private var isDestroyed = false

    /// Makes the client. `signal` is raised whenever `drain` has something to read.
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
            // Everything but messages, whose partition queues are taken off it, then arrives on the group's queue.
            rd_kafka_poll_set_consumer(pointer)
            queue = rd_kafka_queue_get_consumer(pointer)
        } else {
            queue = rd_kafka_queue_get_main(pointer)
        }
        events = KafkaQueue(owning: queue, signal: signal)
        // As events, logs are read on our thread, where a slow log destination holds up nobody's network.
        rd_kafka_set_log_queue(pointer, nil)
    }

    /// Reads all that has been reported. Logs end here; all else is handed to `body`.
    func drain(_ body: (KafkaEvent) -> Void) {
        events.signal.clear()
        while read(from: events.pointer, milliseconds: 0, body) {}
    }

    /// Reads one report from `queue`, waiting for it; false when none came.
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
            // The assignor is an eager one: it takes back all partitions, or gives all of a new assignment.
            let isAssignment = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
            body(isAssignment ? .assigned(partitions(of: rd_kafka_event_topic_partition_list(event))) : .revoked)
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            body(.committed(KafkaError.Code(rd_kafka_event_error(event))))
        case RD_KAFKA_EVENT_STATS:
            body(.statistics(String(cString: rd_kafka_event_stats(event))))
        case RD_KAFKA_EVENT_ERROR:
            let error = reportedError(event)
            recentErrors[error.code] = error
            // With another password the next connection may succeed, whatever was reported before.
            if error.isAuthentication, rotatingPassword?.renew(on: pointer) == true { forgetErrors() }
            body(.error(error))
        case RD_KAFKA_EVENT_LOG:
            log(event)
        case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
            if let tokenFile { OAuthBearerToken.refresh(pointer, file: tokenFile) }
        default:
            logger.debug(
                "librdkafka reported something unknown",
                metadata: [.detail: "\(String(cString: rd_kafka_event_name(event)))"])
        }
        return true
    }

    /// The connection works: what was reported before is no cause of anything later.
    func forgetErrors() { recentErrors.removeAll() }

    /// Whether this client can do nothing more.
    var hasFailed: Bool { rd_kafka_fatal_error(pointer, nil, 0) != RD_KAFKA_RESP_ERR_NO_ERROR }

    /// The most telling of `recentErrors`: a refused log-in says more than the lost connection that follows from it.
    func likelyCause() -> KafkaError? {
        let telling: [KafkaError.Code] = [.authentication, .ssl, .resolve, .transport]
        return telling.lazy.compactMap { self.recentErrors[$0] }.first
    }

    /// Makes librdkafka look up `names` as soon as it is connected. Otherwise the first message to a topic waits up to a
    /// second for that.
    func prepare(topics names: [String]) {
        topics += names.compactMap { rd_kafka_topic_new(pointer, $0, nil) }
    }

    /// Frees the client; may wait for its threads. All other handles of its queues must have been given back.
    func destroy() {
        guard !isDestroyed else { return }
        isDestroyed = true
        events.close()
        for topic in topics { rd_kafka_topic_destroy(topic) }
        // A consumer was closed before, with a time limit; here it would be without one.
        rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }

    private func reportedError(_ event: OpaquePointer) -> KafkaError {
        let text = rd_kafka_event_error_string(event).map { String(cString: $0) }
        var code = KafkaError.Code(rd_kafka_event_error(event))
        // One side refused the other's certificate, which librdkafka calls a lost connection at times.
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

    /// librdkafka says "error" of a connection that it opens again by itself: what stays broken is returned by a call.
    static func level(syslog: Int32, facility: String) -> Logger.Level {
        switch facility {
        // Broken connections and the end of a client are reported as errors as well.
        case "FAIL", "FATAL": return .debug
        // Properties of consumers in a producer, and the other way round: users set each for all clients.
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

internal import CLibRdKafka
package import CommandLineOptions
internal import Logging

/// A failure that librdkafka or a broker reported, or a call that this module refuses.
package struct KafkaError: ErrorWithExitCode, Sendable, Hashable, CustomStringConvertible {
    /// A number of `rd_kafka_resp_err_t`: negative ones are librdkafka's own, positive ones are the protocol's.
    package struct Code: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        package let rawValue: Int32

        package init(rawValue: Int32) { self.rawValue = rawValue }

        init(_ code: rd_kafka_resp_err_t) { rawValue = code.rawValue }

        /// librdkafka's name of the code, such as `_TRANSPORT` or `UNKNOWN_TOPIC_OR_PART`.
        package var description: String { String(cString: rd_kafka_err2name(rd_kafka_resp_err_t(rawValue))) }

        /// librdkafka's sentence about the code.
        var text: String { String(cString: rd_kafka_err2str(rd_kafka_resp_err_t(rawValue))) }
    }

    package let code: Code
    /// The attempted action, as a phrase that follows "unable to".
    package let action: String
    package let cause: String
    /// Whether the client cannot be used any more and must be created again.
    package let isFatal: Bool
    package let hint: String?

    init(code: Code, action: String, cause: String? = nil, isFatal: Bool = false, hint: String? = nil) {
        self.code = code
        self.action = action
        self.cause = cause ?? code.text
        self.isFatal = isFatal
        self.hint = hint ?? code.hint
    }

    /// Reads and frees `error`. Returns nil if there is no error.
    init?(consuming error: OpaquePointer?, action: String) {
        guard let error else { return nil }
        defer { rd_kafka_error_destroy(error) }
        self.init(
            code: Code(rd_kafka_error_code(error)), action: action,
            cause: String(cString: rd_kafka_error_string(error)), isFatal: rd_kafka_error_is_fatal(error) != 0)
    }

    /// One line, safe to log; `hint` is not part of it.
    package var description: String { "unable to \(action): \(cause) (\(code))" }

    /// Whether the same call may succeed later without a change.
    package var isRetryable: Bool { !isFatal && Self.retryable.contains(code) }

    /// Whether no broker can be reached.
    package var isUnreachable: Bool { Self.unreachable.contains(code) }

    /// Whether the broker refused the log-in.
    package var isAuthentication: Bool { Self.authentication.contains(code) }

    /// Whether the user lacks a right.
    package var isAuthorization: Bool { Self.authorization.contains(code) }

    /// Whether the topic or the partition does not exist.
    package var isUnknownTopic: Bool { Self.unknownTopic.contains(code) }

    /// Whether a message exceeds the size that the client, the topic or the broker accepts.
    package var isMessageTooLarge: Bool { code == .messageTooLarge }

    /// A refusal that lasts until an administrator changes settings, rights or certificates is an error of usage,
    /// because another start of the program would end in the same way.
    package var exitCode: ExitCode {
        if isUnknownTopic { return .setupNeeded }
        let isCertificate = code == .ssl && cause.contains(/certificate|unknown ca/.ignoresCase())
        if isAuthorization || isAuthentication || isCertificate || Self.wrongUse.contains(code) { return .usage }
        // Positive codes are a broker's refusals; negative ones are librdkafka's own, such as a lost connection.
        return code.rawValue < 0 || isFatal || isRetryable || isUnreachable ? .kafkaUnavailable : .usage
    }

    private static let wrongUse: Set<Code> = [.invalidArgument, .notImplemented, .messageTooLarge]
    private static let unreachable: Set<Code> = [
        .transport, .allBrokersDown, .resolve, .timedOut, .messageTimedOut, .ssl,
    ]
    private static let authentication: Set<Code> = [
        .authentication, Code(RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED),
        Code(RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM), Code(RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE),
    ]
    private static let authorization: Set<Code> = [
        Code(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), Code(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED),
        Code(RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED),
    ]
    private static let unknownTopic: Set<Code> = [
        .unknownTopic, Code(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION), Code(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART),
    ]
    // DNS is included because host names appear and disappear during a rollout; TLS and log-in need an administrator.
    private static let retryable: Set<Code> = [
        .transport, .allBrokersDown, .resolve, .timedOut, .messageTimedOut, .queueFull,
        Code(RD_KAFKA_RESP_ERR__WAIT_COORD), Code(RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
        Code(RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE), Code(RD_KAFKA_RESP_ERR_NOT_COORDINATOR),
        Code(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE), Code(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        Code(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS), Code(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND),
        Code(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT), Code(RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION),
        Code(RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE), Code(RD_KAFKA_RESP_ERR_NOT_CONTROLLER),
        Code(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
    ]
}

extension KafkaError {
    /// Logs an error that librdkafka reported by itself: it retries on its own, so no call has failed yet.
    func log(to logger: Logger) {
        logger.warning(
            "Kafka reports an error",
            metadata: [.code: "\(code)", .error: "\(self)", .hint: "\(hint ?? "")"])
    }
}

extension KafkaError.Code {
    static let transport = Self(RD_KAFKA_RESP_ERR__TRANSPORT)
    static let allBrokersDown = Self(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
    static let resolve = Self(RD_KAFKA_RESP_ERR__RESOLVE)
    static let timedOut = Self(RD_KAFKA_RESP_ERR__TIMED_OUT)
    static let messageTimedOut = Self(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
    static let authentication = Self(RD_KAFKA_RESP_ERR__AUTHENTICATION)
    static let ssl = Self(RD_KAFKA_RESP_ERR__SSL)
    static let queueFull = Self(RD_KAFKA_RESP_ERR__QUEUE_FULL)
    static let fatal = Self(RD_KAFKA_RESP_ERR__FATAL)
    static let state = Self(RD_KAFKA_RESP_ERR__STATE)
    static let noOffset = Self(RD_KAFKA_RESP_ERR__NO_OFFSET)
    static let purgedInQueue = Self(RD_KAFKA_RESP_ERR__PURGE_QUEUE)
    static let purgedInFlight = Self(RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
    static let invalidArgument = Self(RD_KAFKA_RESP_ERR__INVALID_ARG)
    static let unknownTopic = Self(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
    static let notImplemented = Self(RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED)
    static let closed = Self(RD_KAFKA_RESP_ERR__DESTROY)
    static let messageTooLarge = Self(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
    static let topicExists = Self(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)

    /// The hint for frequent codes, if the code alone determines the remedy.
    var hint: String? {
        switch self {
        case .resolve:
            "the host name in BDA_KAFKA_BOOTSTRAP_SERVERS, or the one that the broker advertises, is unknown here"
        case .transport, .allBrokersDown, .timedOut, .messageTimedOut:
            "check BDA_KAFKA_BOOTSTRAP_SERVERS, and that brokers can be reached under the addresses that they advertise"
        case .authentication, Self(RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED):
            "check BDA_KAFKA_SASL_MECHANISM, BDA_KAFKA_SASL_USERNAME and BDA_KAFKA_SASL_PASSWORD"
        case .ssl:
            "check BDA_KAFKA_SECURITY_PROTOCOL, BDA_KAFKA_SSL_CA_LOCATION and the certificates' names and dates"
        case .messageTooLarge:
            "check max.message.bytes of the topic and message.max.bytes of the brokers; `bda-coordinator setup` creates topics that accept 1 MiB"
        case .unknownTopic, Self(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), Self(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION):
            "create the topics with `bda-coordinator setup`, and check BDA_TOPIC_PREFIX"
        case Self(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), Self(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED),
            Self(RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED):
            "grant this user the access in the brokers' ACLs"
        default: nil
        }
    }
}

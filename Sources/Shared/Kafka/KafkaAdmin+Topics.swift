package import Logging
internal import Timing

extension KafkaAdmin {
    /// Runs `body` with a client that is closed on every path.
    package static func withClient<Value: Sendable>(
        configuration: KafkaConfiguration, logger: Logger, _ body: (KafkaAdmin) async throws -> Value
    ) async throws -> Value {
        let admin = try await make(configuration: configuration, logger: logger)
        let value: Value
        do {
            value = try await body(admin)
        } catch {
            // The first error is the cause.
            try? await admin.close()
            throw error
        }
        try await admin.close()
        return value
    }

    /// Throws unless all topics of `names` exist: the check at the start of each program.
    package static func requireTopics(
        _ names: [String], configuration: KafkaConfiguration, within limit: Duration, logger: Logger
    ) async throws {
        let existing = try await withClient(configuration: configuration, logger: logger) {
            try await $0.topics(within: limit)
        }
        let missing = names.filter { existing[$0] == nil }
        guard missing.isEmpty else {
            throw KafkaError(
                code: .unknownTopic, action: "use Kafka at \(configuration.bootstrapServers)",
                cause: "it has no topic \(missing.joined(separator: ", ")), or this user may not see it")
        }
    }

    /// Throws if no broker answers within `limit`; the error distinguishes refused connections, unknown host names,
    /// refused log-ins and TLS failures.
    ///
    /// - Parameter topic: limits the request to this topic, which is cheaper on a large cluster.
    package nonisolated func checkReachable(within limit: Duration, topic: String? = nil) async throws {
        _ = try await bounded(limit, "reach Kafka") { try await $0.lookUp(topic: topic, within: limit) }
    }

    /// The existing topics, with their numbers of partitions.
    package nonisolated func topics(within limit: Duration) async throws -> [String: Int] {
        try await bounded(limit, "list the topics") { try await $0.lookUp(topic: nil, within: limit) }
    }

    /// Creates the missing topics of `definitions`, and returns when the brokers have them.
    ///
    /// Throws the first error, at the latest some seconds after `limit`; another call continues where this one stopped.
    package nonisolated func ensureTopics(
        _ definitions: [KafkaTopicDefinition], within limit: Duration
    ) async throws -> KafkaTopicsReport {
        try await bounded(limit, "create topics") { try await $0.createMissing(definitions, within: limit) }
    }

    /// librdkafka ends its calls by itself at `limit`. If it hangs, the caller continues a little later.
    private nonisolated func bounded<Value: Sendable>(
        _ limit: Duration, _ action: String, _ body: @escaping @Sendable (KafkaAdmin) async throws -> Value
    ) async throws -> Value {
        do {
            return try await withTimeLimitLeavingBehind(limit + .seconds(5)) { try await body(self) }
        } catch let error as TimeLimitExceeded {
            throw KafkaError(code: .timedOut, action: action, cause: "librdkafka does not answer: \(error)")
        }
    }
}

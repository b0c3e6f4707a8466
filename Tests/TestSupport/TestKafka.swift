import Foundation
package import Kafka
package import Logging

/// The Kafka clusters that tests run on: the embedded one always, and the real one at `BDA_TEST_KAFKA`
/// (`host:port`, plaintext, a throw-away cluster: test topics stay behind).
///
/// Without that variable the tests on a real cluster are skipped; with `BDA_TEST_REQUIRE_KAFKA=1` they fail instead, so
/// that a pipeline which should have a cluster cannot pass without one.
package enum TestKafka: String, Sendable, CaseIterable {
    /// `KafkaMockCluster`, a new one for each test.
    case embedded
    /// Apache Kafka.
    case real

    /// The clusters to repeat a test on.
    package static var available: [TestKafka] { isRealExpected ? [.embedded, .real] : [.embedded] }

    /// Whether tests on a real cluster shall run (and fail if there is none).
    package static var isRealExpected: Bool { servers != nil || environment["BDA_TEST_REQUIRE_KAFKA"] == "1" }

    /// Why a test on a real cluster is skipped.
    package static let skipReason = "BDA_TEST_KAFKA (bootstrap servers of a real cluster) is not set"

    /// Runs `body` with this cluster's configuration and the names of new topics, one for each number of partitions.
    package func withTopics(
        partitions: [Int], properties: [String: String] = [:],
        _ body: (KafkaConfiguration, [String]) async throws -> Void
    ) async throws {
        try await withCluster(partitions: partitions, properties: properties) { try await body($0, $1) }
    }

    /// Runs `body` with this cluster's configuration and the name of one new topic.
    package func withTopic(
        partitions: Int, properties: [String: String] = [:], _ body: (KafkaConfiguration, String) async throws -> Void
    ) async throws {
        try await withCluster(partitions: [partitions], properties: properties) { try await body($0, $1[0]) }
    }

    /// A name that no other test has.
    package static func uniqueName(_ purpose: String) -> String {
        "test.\(purpose).\(UUID().uuidString.prefix(8).lowercased())"
    }

    /// A logger for clients under test, without the warnings that outages made on purpose bring.
    package static let logger: Logger = {
        var logger = Logger(label: "test.kafka")
        logger.logLevel = .error
        return logger
    }()

    private static let environment = ProcessInfo.processInfo.environment
    private static var servers: String? { environment["BDA_TEST_KAFKA"].flatMap { $0.isEmpty ? nil : $0 } }

    private func withCluster(
        partitions: [Int], properties: [String: String], _ body: (KafkaConfiguration, [String]) async throws -> Void
    ) async throws {
        let topics = partitions.map { KafkaTopicDefinition(name: Self.uniqueName("topic"), partitions: $0) }
        let names = topics.map(\.name)
        switch self {
        case .embedded:
            let cluster = try await KafkaMockCluster.make(topics: topics, logger: Self.logger)
            try await body(await cluster.configuration(clientID: "test"), names)
            await cluster.close()
        case .real:
            let configuration = try Self.realConfiguration(properties: properties)
            let admin = try await KafkaAdmin.make(configuration: configuration, logger: Self.logger)
            _ = try await admin.ensureTopics(topics, within: .seconds(30))
            try await admin.close()
            try await body(configuration, names)
        }
    }

    /// The configuration of the real cluster; throws when there is none.
    package static func realConfiguration(properties: [String: String] = [:]) throws -> KafkaConfiguration {
        guard let servers else { throw NoCluster() }
        return try KafkaConfiguration(bootstrapServers: servers, clientID: "test", properties: properties)
    }

    /// A listener with TLS of the real cluster; each has a certificate for `localhost` that `TestCertificates` knows.
    package enum SecureListener: String, Sendable, CaseIterable {
        /// TLS only.
        case tls = "SSL"
        /// Asks for a client's certificate.
        case mutualTLS = "MTLS"
        /// Log-in by PLAIN, SCRAM-SHA-512 or OAUTHBEARER.
        case logIn = "SASL"
        /// The server's certificate has expired.
        case expired = "EXPIRED"
        /// As `logIn`, of an Apache Kafka 3.
        case kafka3 = "SCRAM"

        /// Whether tests on them shall run (and fail if there are none).
        package static var areExpected: Bool {
            tls.isAvailable || TestKafka.environment["BDA_TEST_REQUIRE_KAFKA"] == "1"
        }

        /// Why they are skipped.
        package static let skipReason =
            "BDA_TEST_KAFKA_SSL and its fellows are not set; scripts/dev/test.sh starts them"

        /// Whether there is one; Kafka 3 is started on request only.
        package var isAvailable: Bool { address != nil }

        private var address: String? { environment["BDA_TEST_KAFKA_\(rawValue)"] }

        /// The way there, trusting the authority that has signed the listener's certificate. `host` replaces `localhost`.
        package func configuration(
            host: String = "localhost", _ properties: [String: String] = [:]
        ) throws -> KafkaConfiguration {
            guard let address else { throw NoCluster() }
            return try KafkaConfiguration(
                bootstrapServers: address.replacing("localhost", with: host), clientID: "test",
                properties: [
                    "security.protocol": self == .logIn || self == .kafka3 ? "sasl_ssl" : "ssl",
                    "ssl.ca.location": TestCertificates.path("ca.pem"),
                ].merging(properties) { $1 })
        }

        /// A token (JWT) that nobody has signed, which these brokers take.
        package static func unsignedToken(validFor seconds: Int) throws -> String {
            let now = Int(Date().timeIntervalSince1970)
            let parts = [#"{"alg":"none"}"#, #"{"sub":"bda","iat":\#(now - 120),"exp":\#(now + seconds)}"#]
            return parts.map {
                Data($0.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
                    .replacing("=", with: "")
            }.joined(separator: ".") + "."
        }

        /// What the user `bda` logs in with by PLAIN or SCRAM.
        package static func user(by mechanism: String) -> [String: String] {
            [
                "sasl.mechanism": mechanism, "sasl.username": "bda",
                "sasl.password": environment["BDA_TEST_KAFKA_PASSWORD"] ?? "",
            ]
        }
    }

    /// Thrown by tests that need a real cluster when `BDA_TEST_REQUIRE_KAFKA=1` and there is none.
    package struct NoCluster: Error, CustomStringConvertible {
        /// The reason.
        package var description: String { TestKafka.skipReason }
    }
}

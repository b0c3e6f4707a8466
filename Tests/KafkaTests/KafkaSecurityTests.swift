import Foundation
import Settings
import Testing
import TestSupport

@testable import Kafka

/// TLS and log-in on a real broker, with certificates that the test run made.
@Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: TestKafka.SecureListener.areExpected, .init(rawValue: TestKafka.SecureListener.skipReason)))
struct KafkaSecurityTests {
    typealias Listener = TestKafka.SecureListener

    private func reach(_ configuration: KafkaConfiguration, within limit: Duration = .seconds(30)) async throws {
        let admin = try await makeAdmin(configuration)
        do {
            try await admin.checkReachable(within: limit)
        } catch {
            try? await admin.close()
            throw error
        }
        try await admin.close()
    }

    /// The error of a broker that is not to be reached, which must come without waiting for the limit.
    private func refusal(
        _ configuration: KafkaConfiguration, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> KafkaError {
        let error = await #expect(throws: KafkaError.self, sourceLocation: sourceLocation) {
            // A refusal that is found by waiting only would come after the suite's time limit.
            try await reach(configuration, within: .seconds(600))
        }
        return try #require(error, sourceLocation: sourceLocation)
    }

    // MARK: the server's certificate

    @Test func certificateOfAKnownAuthorityIsAccepted() async throws {
        try await reach(try Listener.tls.configuration())
    }

    @Test(arguments: [
        (Listener.tls, "localhost", "stranger-ca.pem"), (.tls, "127.0.0.1", "ca.pem"),
        (.expired, "localhost", "ca.pem"),
        (.logIn, "localhost", "stranger-ca.pem"), (.logIn, "127.0.0.1", "ca.pem"),
    ])
    func strangersWrongNamesAndExpiredCertificatesAreRefused(
        listener: Listener, host: String, authority: String
    ) async throws {
        let user = listener == .logIn ? Listener.user(by: "PLAIN") : [:]
        let error = try await refusal(
            try listener.configuration(
                host: host, user.merging(["ssl.ca.location": TestCertificates.path(authority)]) { $1 }))
        #expect(error.code == .ssl, "\(error)")
        #expect(error.cause.contains("certificate verify failed"))
        #expect(error.cause.contains(host))
        #expect(error.hint?.contains("BDA_KAFKA_SSL_CA_LOCATION") == true)
        #expect(error.isUnreachable && !error.isRetryable)
    }

    @Test func clientWithoutTLSIsToldSo() async throws {
        let error = await #expect(throws: KafkaError.self) {
            try await reach(
                try Listener.tls.configuration(["security.protocol": "plaintext"]), within: .seconds(3))
        }
        #expect(error?.hint?.contains("BDA_KAFKA_SECURITY_PROTOCOL") == true, "\(error.map { "\($0)" } ?? "")")
    }

    // MARK: the client's certificate

    @Test func clientIsKnownByItsCertificate() async throws {
        try await reach(try Listener.mutualTLS.configuration(try TestCertificates.clientProperties("client")))
    }

    @Test(arguments: [nil, "stranger-client", "expired-client"])
    func clientWithoutAGoodCertificateIsRefused(name: String?) async throws {
        let properties = try name.map { try TestCertificates.clientProperties($0) } ?? [:]
        let error = try await refusal(try Listener.mutualTLS.configuration(properties))
        #expect(error.hint?.contains("BDA_KAFKA_SSL_CERTIFICATE_LOCATION") == true, "\(error)")
        #expect(error.isUnreachable && !error.isRetryable, "\(error)")
    }

    @Test func wrongPasswordOfTheKeyIsNamedAndNotRepeated() async throws {
        var properties = try TestCertificates.clientProperties("client")
        properties["ssl.key.password"] = "wrong-6317"
        let error = try await refusal(try Listener.mutualTLS.configuration(properties))
        #expect(error.cause.contains("ssl.key.location"), "\(error)")
        #expect(error.hint?.contains("BDA_KAFKA_SSL_KEY_PASSWORD") == true, "\(error.hint ?? "")")
        #expect(!"\(error) \(error.hint ?? "")".contains("wrong-6317"))
    }

    // MARK: log-in

    @Test func logInByPlain() async throws {
        try await reach(try Listener.logIn.configuration(Listener.user(by: "PLAIN")))
    }

    @Test(arguments: [("sasl.password", "wrong-6317"), ("sasl.username", "nobody-6317")])
    func wrongNameOrPasswordIsRefused(property: String, value: String) async throws {
        let error = try await refusal(
            try Listener.logIn.configuration(Listener.user(by: "PLAIN").merging([property: value]) { $1 }))
        #expect(error.isAuthentication && !error.isRetryable, "\(error)")
        for setting in ["BDA_KAFKA_SASL_USERNAME", "BDA_KAFKA_SASL_PASSWORD"] {
            #expect(error.hint?.contains(setting) == true, "\(error.hint ?? "")")
        }
        for secret in ["wrong-6317", Listener.user(by: "PLAIN")["sasl.password"]!] {
            #expect(!"\(error) \(error.hint ?? "")".contains(secret))
        }
    }

    @Test func mechanismThatTheBrokerHasNotIsNamed() async throws {
        let error = try await refusal(try Listener.logIn.configuration(Listener.user(by: "SCRAM-SHA-256")))
        #expect(error.isAuthentication, "\(error)")
        #expect(error.cause.contains("SCRAM-SHA-256"), "\(error)")
    }

    // MARK: tokens

    @Test func librdkafkasOwnTokensServeEveryKindOfClient() async throws {
        try await useEveryKindOfClient(
            try Listener.logIn.configuration([
                "sasl.mechanism": "OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt": "true",
                "sasl.oauthbearer.config": "principal=bda",
            ]))
    }

    @Test func tokenOfAFileServesEveryKindOfClient() async throws {
        try await withToken(validFor: 3600) { configuration, _ in try await useEveryKindOfClient(configuration) }
    }

    @Test func fileIsReadAgainUntilItHoldsAToken() async throws {
        try await withToken(validFor: 3600) { configuration, file in
            let token = try String(contentsOfFile: file, encoding: .utf8)
            try Self.write("not yet", to: file)
            let admin = try await makeAdmin(configuration)
            let error = await #expect(throws: KafkaError.self) { try await admin.checkReachable(within: .seconds(600)) }
            #expect(error?.cause.contains("holds no JWT") == true, "\(error.map { "\($0)" } ?? "")")
            try Self.write(token, to: file)
            // librdkafka asks again ten seconds after a failure.
            while (try? await admin.checkReachable(within: .seconds(1))) == nil { try Task.checkCancellation() }
            try await admin.close()
        }
    }

    @Test func expiredTokenIsRefusedAndNotRepeated() async throws {
        try await withToken(validFor: -60) { configuration, file in
            let error = try await refusal(configuration)
            #expect(error.isAuthentication, "\(error)")
            #expect(error.cause.contains(file))
            #expect(error.hint?.contains("BDA_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION") == true, "\(error.hint ?? "")")
            #expect(!"\(error) \(error.hint ?? "")".contains("eyJ"))
        }
    }

    @Test(arguments: [nil, "", "hunter2", "a.b.c", "hunter2.eyJzdWIiOiJ4In0.x"])
    func fileWithoutATokenIsNamed(text: String?) async throws {
        try await withToken(validFor: 60) { configuration, file in
            if let text { try Self.write(text, to: file) } else { try FileManager.default.removeItem(atPath: file) }
            let error = try await refusal(configuration)
            #expect(error.isAuthentication, "\(error)")
            #expect(error.cause.contains(file), "\(error)")
            #expect(!"\(error)".contains("hunter2"))
        }
    }

    // MARK: SCRAM

    @Test func scramToKafka4NeedsANewerLibrdkafka() async throws {
        let configuration = try Listener.logIn.configuration(Listener.user(by: "SCRAM-SHA-512"))
        guard KafkaLibrary.version < KafkaLibrary.firstVersionWithScramForKafka4 else {
            return try await reach(configuration)
        }
        let error = try await refusal(configuration)
        #expect(error.isAuthentication, "\(error)")
        let hint = try #require(error.hint)
        #expect(hint.contains("librdkafka \(KafkaLibrary.version) cannot log in to Kafka 4 by SCRAM-SHA-512"))
        for way in ["2.6.1", "TLS client certificates", "PLAIN over TLS", "OAUTHBEARER"] { #expect(hint.contains(way)) }
    }

    @Test(.enabled(if: Listener.kafka3.isAvailable, "KAFKA_SCRAM_HOME (a Kafka 3) is not set"))
    func scramToKafka3() async throws {
        let user = Listener.user(by: "SCRAM-SHA-512")
        try await reach(try Listener.kafka3.configuration(user))
        let wrong = try Listener.kafka3.configuration(user.merging(["sasl.password": "wrong-6317"]) { $1 })
        let error = try await refusal(wrong)
        #expect(error.isAuthentication, "\(error)")
        #expect(error.hint?.contains("BDA_KAFKA_SASL_PASSWORD") == true)
        #expect(!"\(error) \(error.hint ?? "")".contains("wrong-6317"))
    }

    // MARK: inside

    private func useEveryKindOfClient(_ configuration: KafkaConfiguration) async throws {
        let topic = TestKafka.uniqueName("token")
        let admin = try await makeAdmin(configuration)
        _ = try await admin.ensureTopics([.init(name: topic, partitions: 1)], within: .seconds(30))
        try await admin.close()
        let producer = try await makeProducer(configuration)
        try await producer.send(KafkaMessage(topic: topic, value: Array("hello".utf8)))
        try await producer.close()
        let reader = try await makeReader(configuration, topic: topic, from: .beginning)
        let message = try await reader.next(within: .seconds(30))
        #expect(message?.value == Array("hello".utf8))
        try await reader.close()
    }

    /// Runs `body` with a token in a file.
    private func withToken(
        validFor seconds: Int, _ body: (KafkaConfiguration, String) async throws -> Void
    ) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("token-\(UUID().uuidString)").path
        try Self.write(try Listener.unsignedToken(validFor: seconds) + "\n", to: file)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let listener = try Listener.logIn.configuration(["sasl.mechanism": "OAUTHBEARER"])
        var settings = SettingsReader(
            environment: listener.environment.merging(["BDA_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION": file]) { $1 },
            catalogue: SettingCatalogue(KafkaSetting.section))
        let configuration = KafkaConfiguration(settings: &settings, clientID: "test")
        try settings.finish()
        try await body(configuration, file)
    }

    private static func write(_ text: String, to file: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
    }
}

import CommandLineOptions
import Foundation
import Settings
import TestSupport
import Testing

@testable import Kafka

/// A password file that is replaced while a client lives.
@Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: TestKafka.SecureListener.areExpected, .init(rawValue: TestKafka.SecureListener.skipReason)))
struct KafkaPasswordFileTests {
    private typealias Listener = TestKafka.SecureListener

    private func withPasswordFile(
        _ body: (KafkaConfiguration, (String) throws -> Void) async throws -> Void
    ) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("password-\(UUID().uuidString)").path
        func write(_ text: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
        }
        try write("wrong-6317\n")
        defer { try? FileManager.default.removeItem(atPath: file) }
        let listener = try Listener.logIn.configuration(["sasl.mechanism": "PLAIN", "sasl.username": "bda"])
        var settings = SettingsReader(
            environment: listener.environment.merging(["BDA_KAFKA_SASL_PASSWORD_FILE": file]) { $1 },
            catalogue: SettingCatalogue(KafkaSetting.section))
        let configuration = KafkaConfiguration(settings: &settings, clientID: "test")
        try settings.finish()
        try await body(configuration, write)
    }

    @Test func aClientThatWasRefusedTakesTheNewPassword() async throws {
        try await withPasswordFile { configuration, write in
            #expect(configuration.environment["BDA_KAFKA_SASL_PASSWORD"] == nil)
            #expect(configuration.environment["BDA_KAFKA_SASL_PASSWORD_FILE"] != nil)
            let admin = try await makeAdmin(configuration)
            let error = await #expect(throws: KafkaError.self) { try await admin.checkReachable(within: .seconds(30)) }
            #expect(error?.isAuthentication == true)
            #expect(error?.exitCode == .usage)
            try write("\(try #require(Listener.user(by: "PLAIN")["sasl.password"]))\n")
            // The refusal of a log-in that was under way may still be reported.
            var isReachable = false
            while !isReachable {
                do {
                    try await admin.checkReachable(within: .seconds(30))
                    isReachable = true
                } catch let error as KafkaError where error.isAuthentication {}
            }
            try await admin.close()
        }
    }

    @Test func aNewClientReadsTheFile() async throws {
        try await withPasswordFile { configuration, write in
            try write(try #require(Listener.user(by: "PLAIN")["sasl.password"]))
            let admin = try await makeAdmin(configuration)
            try await admin.checkReachable(within: .seconds(30))
            try await admin.close()
        }
    }
}

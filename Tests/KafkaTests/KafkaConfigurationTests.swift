import Logging
import CommandLineOptions
import Settings
import Testing

@testable import Kafka

struct KafkaConfigurationTests {
    @Test(arguments: [
        "group.id", "enable.auto.commit", "partition.assignment.strategy", "client.rack", "acks", "bootstrap.servers",
        "transactional.id", "group.protocol",
    ])
    func ownedPropertiesAreRefusedWithAReason(name: String) throws {
        let error = try #require(throws: KafkaError.self) {
            _ = try KafkaConfiguration(bootstrapServers: "a:1", clientID: "c", properties: [name: "x"])
        }
        #expect(error.action == "set the Kafka property '\(name)'")
        #expect(error.cause.hasPrefix("'\(name)' is set by the program: "))
    }

    @Test(arguments: KafkaConfiguration.ownedProperties.keys.sorted())
    func ownedPropertiesExist(name: String) throws {
        // A name that librdkafka does not know would guard nothing.
        do {
            try KafkaConfiguration.Properties().set(name, "1")
        } catch {
            #expect(!error.cause.contains("No such"))
        }
    }

    @Test func unknownPropertyIsRefusedInLibrdkafkasWords() throws {
        let refusal = try #require(KafkaConfiguration.refusal(of: "no.such.property", value: "1"))
        #expect(refusal.problem == "No such configuration property: \"no.such.property\"")
    }

    @Test func badValueIsRefusedWithWhatIsAllowed() throws {
        let word = try #require(KafkaConfiguration.refusal(of: "security.protocol", value: "tls"))
        #expect(word.problem == "Invalid value \"tls\" for configuration property \"security.protocol\"")
        let range = try #require(KafkaConfiguration.refusal(of: "session.timeout.ms", value: "-5"))
        #expect(range.problem.contains("outside allowed range 1..3600000"))
    }

    @Test(arguments: [["ssl.key.pem": "hunter2"], ["ssl.key.pem": "hunter2", "ssl.key.password": "hunter2"]])
    func badSecretIsRefusedWithoutRepeatingIt(properties: [String: String]) async throws {
        let configuration = try KafkaConfiguration(
            bootstrapServers: "127.0.0.1:1", clientID: "c",
            properties: properties.merging(["security.protocol": "ssl"]) { $1 })
        let error = await #expect(throws: KafkaError.self) { _ = try await makeAdmin(configuration) }
        #expect(error?.cause.contains("ssl.key.pem") == true)
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test func misspeltSecretIsRefusedWithoutRepeatingIt() throws {
        let refusal = try #require(KafkaConfiguration.refusal(of: "sasl.pasword", value: "hunter2"))
        #expect(!refusal.problem.contains("hunter2"))
    }

    @Test func settingsBecomeProperties() throws {
        var reader = SettingsReader(
            environment: [
                "BDA_KAFKA_BOOTSTRAP_SERVERS": "broker:9092", "BDA_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
                "BDA_KAFKA_SASL_MECHANISM": "PLAIN", "BDA_KAFKA_SASL_PASSWORD": "hunter2",
            ], catalogue: SettingCatalogue(KafkaSetting.section))
        let configuration = KafkaConfiguration(settings: &reader, clientID: "c")
        try reader.finish()
        #expect(configuration.bootstrapServers == "broker:9092")
        #expect(configuration.properties == ["security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN"])
        #expect(try configuration.secrets["sasl.password"]?.reveal() == "hunter2")
        #expect(configuration.saslMechanism == "PLAIN")
    }

    @Test func environmentLeadsToTheSameConfiguration() async throws {
        let cluster = try await makeCluster(topics: [])
        let configuration = await cluster.configuration(clientID: "c")
        var reader = SettingsReader(
            environment: configuration.environment, catalogue: SettingCatalogue(KafkaSetting.section))
        let copy = KafkaConfiguration(settings: &reader, clientID: "c")
        try reader.finish()
        #expect(copy.bootstrapServers == configuration.bootstrapServers)
        #expect(copy.properties == configuration.properties)
        #expect(copy.properties["session.timeout.ms"] == "3000")
        await cluster.close()
    }

    @Test func allWrongSettingsAreNamedAtOnce() throws {
        var reader = SettingsReader(
            environment: [
                "BDA_KAFKA_BOOTSTRAP_SERVERS": "broker:9092", "BDA_KAFKA_GROUP_ID": "mine",
                "BDA_KAFKA_NO_SUCH_PROPERTY": "1", "BDA_KAFKA_SECURITY_PROTOCOL": "tls",
            ], catalogue: SettingCatalogue(KafkaSetting.section))
        _ = KafkaConfiguration(settings: &reader, clientID: "c")
        let error = try #require(throws: SettingsError.self) { try reader.finish() }
        #expect(
            error.problems.map(\.setting) == [
                "BDA_KAFKA_GROUP_ID", "BDA_KAFKA_NO_SUCH_PROPERTY", "BDA_KAFKA_SECURITY_PROTOCOL",
            ])
    }

    @Test func valuesNeverShow() throws {
        let configuration = try KafkaConfiguration(
            bootstrapServers: "broker:9092", clientID: "c", properties: ["sasl.password": "hunter2"])
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(text.contains("broker:9092"))
            #expect(!text.contains("hunter2"))
        }
    }

    @Test func missingCertificateFileIsAnError() async throws {
        let configuration = try KafkaConfiguration(
            bootstrapServers: "127.0.0.1:1", clientID: "c",
            properties: ["security.protocol": "ssl", "ssl.ca.location": "/no/such/file.pem"])
        let error = await #expect(throws: KafkaError.self) {
            _ = try await KafkaAdmin(configuration: configuration, logger: .init(label: "test"))
        }
        #expect(error?.cause.contains("ssl.ca.location") == true)
    }

    @Test func scramHintDependsOnTheVersion() {
        let old = KafkaLibrary.Version(2, 0, 2)
        #expect(KafkaConfiguration.scramHint(mechanism: "SCRAM-SHA-512", version: old)?.contains("Kafka 4") == true)
        #expect(KafkaConfiguration.scramHint(mechanism: "PLAIN", version: old) == nil)
        #expect(KafkaConfiguration.scramHint(mechanism: "SCRAM-SHA-256", version: .init(2, 6, 1)) == nil)
    }

    @Test func refusedLogInByScramSaysWhatElseToUse() throws {
        let configuration = try KafkaConfiguration(
            bootstrapServers: "a:1", clientID: "c",
            properties: ["security.protocol": "SASL_SSL", "sasl.mechanism": "scram-sha-512"])
        let refused = KafkaError(code: .authentication, action: "reach Kafka")
        let isAffected = KafkaLibrary.version < .init(2, 6, 1)
        #expect((configuration.explaining(refused).hint?.contains("PLAIN over TLS") == true) == isAffected)
        let other = KafkaError(code: .transport, action: "reach Kafka")
        #expect(configuration.explaining(other) == other)
    }

    @Test(arguments: [
        "ssl://a:1/bootstrap: SSL handshake failed: Disconnected", "ssl://a:1/1: Disconnected (in state SSL_HANDSHAKE)",
        "ssl://a:1/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required",
        "a:1/1: Disconnected while requesting ApiVersion: might be caused by (connecting to a SSL listener?)",
    ])
    func lostConnectionsThatTLSCausedSaySo(cause: String) throws {
        let configuration = try KafkaConfiguration(bootstrapServers: "a:1", clientID: "c")
        let error = configuration.explaining(KafkaError(code: .transport, action: "reach Kafka", cause: cause))
        #expect(error.hint?.contains("BDA_KAFKA_SECURITY_PROTOCOL") == true)
    }

    @Test func libraryIsNewEnough() throws {
        try KafkaLibrary.checkVersion()
        #expect(KafkaLibrary.version >= .init(2, 0, 2))
        #expect(KafkaLibrary.Version(2, 0, 2) < .init(2, 10, 0))
        #expect("\(KafkaLibrary.Version(2, 6, 1))" == "2.6.1")
    }
}

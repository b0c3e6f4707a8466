import Testing
import TestSupport

@testable import Kafka

@Suite(.timeLimit(.minutes(2)))
struct KafkaAdminTests {
    private func unreachable(_ servers: String, properties: [String: String] = [:]) async throws -> KafkaError {
        let configuration = try KafkaConfiguration(bootstrapServers: servers, clientID: "test", properties: properties)
        let admin = try await makeAdmin(configuration)
        let error = await #expect(throws: KafkaError.self) { try await admin.checkReachable(within: .seconds(2)) }
        try await admin.close()
        return try #require(error)
    }

    @Test func refusedConnectionIsNamed() async throws {
        let error = try await unreachable("127.0.0.1:1")
        #expect(error.description.hasPrefix("unable to reach Kafka at '127.0.0.1:1': "))
        #expect(error.cause.contains("Connection refused"))
        #expect(error.hint?.contains("BDA_KAFKA_BOOTSTRAP_SERVERS") == true)
        #expect(error.isUnreachable)
        #expect(error.isRetryable)
    }

    @Test func unknownHostIsNamed() async throws {
        let error = try await unreachable("no-such-host.invalid:9092")
        #expect(error.code == .resolve)
        #expect(error.cause.contains("no-such-host.invalid"))
        #expect(error.isUnreachable)
    }

    @Test func brokerWithoutTLSIsNamed() async throws {
        let cluster = try await makeCluster(topics: [])
        let error = try await unreachable(await cluster.bootstrapServers, properties: ["security.protocol": "ssl"])
        #expect(error.cause.contains("ssl://"))
        #expect(error.hint?.contains("BDA_KAFKA_SECURITY_PROTOCOL") == true)
        await cluster.close()
    }

    @Test func embeddedClusterAnswers() async throws {
        let topics = [KafkaTopicDefinition(name: "a", partitions: 3), KafkaTopicDefinition(name: "b", partitions: 1)]
        let cluster = try await makeCluster(topics: topics)
        let admin = try await makeAdmin(await cluster.configuration(clientID: "test"))
        try await admin.checkReachable(within: .seconds(20))
        #expect(try await admin.topics(within: .seconds(20)) == ["a": 3, "b": 1])
        // Nothing is missing, so nothing must be made, which this cluster cannot.
        let report = try await admin.ensureTopics(topics, within: .seconds(20))
        #expect(report.existing == ["a", "b"])
        try await admin.close()
        await cluster.close()
    }

    @Test(.enabled(if: TestKafka.isRealExpected, .init(rawValue: TestKafka.skipReason)))
    func missingTopicsAreMadeOnce() async throws {
        let admin = try await makeAdmin(try TestKafka.realConfiguration())
        let one = KafkaTopicDefinition(
            name: TestKafka.uniqueName("one"), partitions: 3, configuration: ["retention.ms": "3600000"])
        let two = KafkaTopicDefinition(name: TestKafka.uniqueName("two"), partitions: 1, replicationFactor: 1)
        var report = try await admin.ensureTopics([one], within: .seconds(20))
        #expect(report.created == [one.name] && report.existing.isEmpty && report.tooFewPartitions.isEmpty)

        let larger = KafkaTopicDefinition(name: one.name, partitions: 8)
        report = try await admin.ensureTopics([larger, two], within: .seconds(20))
        #expect(report.created == [two.name])
        #expect(report.existing == [one.name])
        #expect(report.tooFewPartitions == [.init(name: one.name, actual: 3, wanted: 8)])
        let topics = try await admin.topics(within: .seconds(20))
        #expect(topics[one.name] == 3 && topics[two.name] == 1)
        try await admin.close()
    }

    @Test(.enabled(if: TestKafka.isRealExpected, .init(rawValue: TestKafka.skipReason)))
    func refusedTopicIsAnError() async throws {
        let admin = try await makeAdmin(try TestKafka.realConfiguration())
        let name = TestKafka.uniqueName("bad")
        let definition = KafkaTopicDefinition(name: name, partitions: 1, configuration: ["retention.ms": "soon"])
        let error = await #expect(throws: KafkaError.self) {
            _ = try await admin.ensureTopics([definition], within: .seconds(20))
        }
        #expect(error?.description.contains("unable to create the topic '\(name)'") == true)
        #expect(error?.cause.contains("retention.ms") == true)
        try await admin.close()
    }
}

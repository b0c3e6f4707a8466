import Testing
import TestSupport

@testable import Kafka

@Suite(.timeLimit(.minutes(2)))
struct KafkaTopicReaderTests {
    private func messages(_ count: Int32, _ topic: String, value: UInt8) -> [KafkaMessage] {
        (0..<count).map { KafkaMessage(topic: topic, partition: $0 % 2, value: [value]) }
    }

    @Test(arguments: TestKafka.available)
    func endMeansAfterOpening(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 2) { configuration, topic in
            let producer = try await makeProducer(configuration)
            try await producer.send(contentsOf: messages(8, topic, value: 0))
            let reader = try await makeReader(configuration, topic: topic, from: .end)
            // At once, before the client has asked the broker for anything.
            try await producer.send(contentsOf: messages(8, topic, value: 1))
            for _ in 0..<8 { #expect(try await reader.next(within: .seconds(20))?.value == [1]) }
            #expect(try await reader.next(within: .milliseconds(300)) == nil)
            try await reader.close()
            try await producer.close()
        }
    }

    @Test(arguments: TestKafka.available)
    func everyReaderGetsEverything(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 2) { configuration, topic in
            let producer = try await makeProducer(configuration)
            try await producer.send(contentsOf: messages(6, topic, value: 0))
            for _ in 0..<2 {
                let reader = try await makeReader(configuration, topic: topic, from: .beginning)
                for _ in 0..<6 { #expect(try await reader.next(within: .seconds(20)) != nil) }
                try await reader.close()
                await #expect(throws: KafkaError.self) { _ = try await reader.next(within: .seconds(1)) }
            }
            try await producer.close()
        }
    }

    @Test(.enabled(if: TestKafka.isRealExpected, .init(rawValue: TestKafka.skipReason)))
    func topicMustExist() async throws {
        let configuration = try TestKafka.realConfiguration()
        let error = await #expect(throws: KafkaError.self) {
            _ = try await makeReader(configuration, topic: TestKafka.uniqueName("missing"), from: .end)
        }
        #expect(error?.isUnknownTopic == true)
    }
}

import BlockingIO
import Testing
import TestSupport

@testable import Kafka

@Suite(.timeLimit(.minutes(2)))
struct KafkaProducerTests {
    @Test(arguments: TestKafka.available)
    func messageArrivesWhole(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 3) { configuration, topic in
            let reader = try await makeReader(configuration, topic: topic, from: .end)
            let producer = try await makeProducer(configuration)
            let sent = KafkaMessage(
                topic: topic, partition: 2, key: Array("key".utf8), value: Array("value".utf8),
                headers: [
                    .init(name: "ce_id", text: "1"), .init(name: "ce_id", text: "2"), .init(name: "empty", value: []),
                ], timestamp: 1_700_000_000_123)
            try await producer.send(sent)
            let received = try #require(try await reader.next(within: .seconds(20)))
            #expect(received.topic == topic)
            #expect(received.partition == 2)
            #expect(received.offset == 0)
            #expect(received.key == sent.key)
            #expect(received.value == sent.value)
            #expect(received.headers == sent.headers)
            #expect(received.header("ce_id")?.text == "1")
            #expect(received.timestamp == 1_700_000_000_123)

            try await producer.send(KafkaMessage(topic: topic, value: []))
            let bare = try #require(try await reader.next(within: .seconds(20)))
            #expect(bare.key == nil && bare.value.isEmpty && bare.headers.isEmpty && bare.timestamp != nil)
            try await producer.close()
            try await reader.close()
        }
    }

    @Test(arguments: TestKafka.available)
    func manyAtOnceKeepTheirOrder(cluster: TestKafka) async throws {
        // The client's queue holds 50, so most of them wait for room.
        try await cluster.withTopic(partitions: 1, properties: ["queue.buffering.max.messages": "50"]) {
            configuration, topic in
            let producer = try await makeProducer(configuration, linger: .milliseconds(5))
            let messages = (0..<2000).map { KafkaMessage(topic: topic, partition: 0, value: Array("\($0)".utf8)) }
            try await producer.send(contentsOf: messages)
            try await producer.close()
            let reader = try await makeReader(configuration, topic: topic, from: .beginning)
            for message in messages {
                #expect(try await reader.next(within: .seconds(20))?.value == message.value)
            }
            #expect(try await reader.next(within: .milliseconds(200)) == nil)
            try await reader.close()
        }
    }

    @Test func messagesWithoutPartitionAreSpread() async throws {
        try await TestKafka.embedded.withTopic(partitions: 8) { configuration, topic in
            let producer = try await makeProducer(configuration)
            try await producer.send(contentsOf: (0..<200).map { _ in KafkaMessage(topic: topic, value: [1]) })
            let reader = try await makeReader(configuration, topic: topic, from: .beginning)
            var partitions: Set<Int32> = []
            for _ in 0..<200 { partitions.insert(try #require(try await reader.next(within: .seconds(20))).partition) }
            #expect(partitions.count == 8)
            try await reader.close()
            try await producer.close()
        }
    }

    @Test func tooLargeMessageIsRefused() async throws {
        try await TestKafka.embedded.withTopic(partitions: 1) { configuration, topic in
            let producer = try await makeProducer(configuration)
            let message = KafkaMessage(topic: topic, value: Array(repeating: 0, count: 65537))
            let error = await #expect(throws: KafkaError.self) { try await producer.send(message) }
            #expect(error?.code == .messageTooLarge)
            #expect(error?.isRetryable == false)
            try await producer.close()
        }
    }

    @Test(arguments: TestKafka.available)
    func fatalErrorLeadsToANewClient(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 1) { configuration, topic in
            // Waits long enough for all to be in the client when it fails, also on a busy machine.
            let producer = try await makeProducer(configuration, linger: .seconds(3))
            let messages = (0..<100).map { KafkaMessage(topic: topic, partition: 0, value: Array("\($0)".utf8)) }
            let isSent = Mutex(false)
            async let sending: Void = {
                try await producer.send(contentsOf: messages)
                isSent.withLock { $0 = true }
            }()
            while await producer.unconfirmed < 100, !isSent.withLock({ $0 }) { await Task.yield() }
            await producer.induceFatalError()
            try await sending
            try await producer.send(KafkaMessage(topic: topic, partition: 0, value: Array("last".utf8)))
            #expect(await producer.recoveries == 1)
            try await producer.close()

            let reader = try await makeReader(configuration, topic: topic, from: .beginning)
            var received: [String] = []
            repeat {
                let message = try #require(try await reader.next(within: .seconds(20)))
                received.append(String(decoding: message.value, as: UTF8.self))
            } while received.last != "last"
            // Some may have come twice; none is missing.
            #expect(Set(received).count == 101)
            try await reader.close()
        }
    }

    @Test func fatalErrorsWithoutEndAreGivenUp() async throws {
        let cluster = try await makeCluster(topics: [.init(name: "t", partitions: 1)])
        let configuration = await cluster.configuration(clientID: "test")
        await cluster.takeDown()
        let producer = try await makeProducer(configuration)
        let sending = Task { try await producer.send(KafkaMessage(topic: "t", value: [1])) }
        while await producer.unconfirmed < 1 { await Task.yield() }
        for round in 1...6 {
            await producer.induceFatalError()
            while await producer.recoveries < min(round, 5) { await Task.yield() }
        }
        let error = await #expect(throws: KafkaError.self) { try await sending.value }
        #expect(error?.isFatal == true)
        await #expect(throws: KafkaError.self) { try await producer.send(KafkaMessage(topic: "t", value: [1])) }
        try await producer.close()
        await cluster.close()
    }

    @Test func timeOutNamesItsCause() async throws {
        let configuration = KafkaConfiguration.mockCluster(bootstrapServers: "127.0.0.1:1", clientID: "test")
        let producer = try await KafkaProducer(
            configuration: configuration, linger: .zero, messageTimeout: .seconds(1), logger: TestKafka.logger)
        let error = await #expect(throws: KafkaError.self) {
            try await producer.send(KafkaMessage(topic: "t", value: [1]))
        }
        #expect(error?.cause.contains("Connection refused") == true)
        #expect(error?.isRetryable == true)
        #expect(error?.isUnreachable == true)
        try await producer.close()
    }

    @Test func sendReturnsAtItsLimitAndTheMessageMayStillArrive() async throws {
        let configuration = KafkaConfiguration.mockCluster(bootstrapServers: "127.0.0.1:1", clientID: "test")
        let producer = try await makeProducer(configuration)
        let start = ContinuousClock.now
        let error = await #expect(throws: KafkaError.self) {
            try await producer.send(KafkaMessage(topic: "t", value: [1]), within: .milliseconds(300))
        }
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(error?.cause.contains("not confirmed within") == true)
        #expect(error?.isUnreachable == true)
        #expect(await producer.unconfirmed == 1)
        try await producer.close(within: .milliseconds(100))
    }

    @Test func anOutageDoesNotFillTheMemory() async throws {
        let configuration = KafkaConfiguration.mockCluster(bootstrapServers: "127.0.0.1:1", clientID: "test")
        let producer = try await KafkaProducer(
            configuration: configuration, linger: .zero, maximumUnconfirmedBytes: 1000, logger: TestKafka.logger)
        let message = KafkaMessage(topic: "t", value: Array(repeating: 7, count: 400))
        for _ in 1...2 {
            await #expect(throws: KafkaError.self) { try await producer.send(message, within: .milliseconds(1)) }
        }
        let error = await #expect(throws: KafkaError.self) { try await producer.send(message) }
        #expect(error?.code == .queueFull)
        #expect(await producer.unconfirmed == 2)
        try await producer.close(within: .milliseconds(100))
        #expect(await producer.unconfirmed == 0)
    }

    @Test func closingFailsWhatIsNotConfirmed() async throws {
        let configuration = KafkaConfiguration.mockCluster(bootstrapServers: "127.0.0.1:1", clientID: "test")
        let producer = try await makeProducer(configuration)
        let sending = Task { try await producer.send(KafkaMessage(topic: "t", value: [1])) }
        while await producer.unconfirmed < 1 { await Task.yield() }
        try await producer.close(within: .milliseconds(100))
        let error = await #expect(throws: KafkaError.self) { try await sending.value }
        #expect(error?.code == .closed)
        await #expect(throws: KafkaError.self) { try await producer.send(KafkaMessage(topic: "t", value: [1])) }
        try await producer.close()
    }

    @Test(.enabled(if: TestKafka.isRealExpected, .init(rawValue: TestKafka.skipReason)))
    func partitionThatDoesNotExistIsAnError() async throws {
        try await TestKafka.real.withTopic(partitions: 1) { configuration, topic in
            let producer = try await makeProducer(configuration)
            let error = await #expect(throws: KafkaError.self) {
                try await producer.send(KafkaMessage(topic: topic, partition: 7, value: [1]))
            }
            #expect(error?.isUnknownTopic == true)
            #expect(error?.hint?.contains("setup") == true)
            try await producer.close()
        }
    }
}

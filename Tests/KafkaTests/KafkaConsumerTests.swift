import BlockingIO
import Logging
import Metrics
import Testing
import TestSupport

@testable import Kafka

@Suite(.timeLimit(.minutes(3)))
struct KafkaConsumerTests {
    /// Runs `body` while `consumer` is a member of its group, and closes it.
    private func withMember(
        _ configuration: KafkaConfiguration, group: String, topic: String, properties: [String: String] = [:],
        _ body: (KafkaConsumer) async throws -> Void
    ) async throws {
        let consumer = try await KafkaConsumer(
            configuration: configuration, group: group, topics: [topic], metrics: MetricsRegistry(),
            logger: TestKafka.logger, properties: properties)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await consumer.run() }
            try await body(consumer)
            tasks.cancelAll()
        }
        try await consumer.close()
    }

    /// Waits until `consumer` reads `count` partitions.
    private func waitForAssignment(_ consumer: KafkaConsumer, count: Int) async throws {
        while await consumer.state.assignment.count != count { try await Task.sleep(for: .milliseconds(5)) }
    }

    private func messages(_ topic: String, _ range: Range<Int>, partitions: Int) -> [KafkaMessage] {
        range.map { KafkaMessage(topic: topic, partition: Int32($0 % partitions), value: Array("\($0)".utf8)) }
    }

    private func number(_ message: KafkaReceivedMessage) -> Int { Int(String(decoding: message.value, as: UTF8.self))! }

    @Test(arguments: TestKafka.available)
    func nothingIsLostWhileMembersComeAndGo(cluster: TestKafka) async throws {
        let group = TestKafka.uniqueName("group")
        try await cluster.withTopic(partitions: 8) { configuration, topic in
            let producer = try await makeProducer(configuration)
            let taken = Taken()

            /// Takes messages until `expected` different ones were taken by anybody.
            @Sendable func work(_ consumer: KafkaConsumer, until expected: Int) async throws {
                while await taken.distinct < expected {
                    guard let message = try await consumer.next(within: .milliseconds(100)) else { continue }
                    await taken.note(message)
                    await consumer.acknowledge(message)
                }
            }

            try await withMember(configuration, group: group, topic: topic) { first in
                try await waitForAssignment(first, count: 8)
                try await producer.send(contentsOf: messages(topic, 0..<300, partitions: 8))
                try await work(first, until: 300)
                // Alone, a member gets each partition in order, and nothing twice.
                #expect(await taken.total == 300)
                #expect(await taken.isOrdered)

                try await withMember(configuration, group: group, topic: topic) { second in
                    try await withThrowingTaskGroup(of: Void.self) { tasks in
                        for slot in 0..<4 {
                            let consumer = slot % 2 == 0 ? first : second
                            tasks.addTask { try await work(consumer, until: 900) }
                        }
                        // Half before, half after the newcomer has its share.
                        try await producer.send(contentsOf: messages(topic, 300..<600, partitions: 8))
                        try await waitForAssignment(first, count: 4)
                        try await waitForAssignment(second, count: 4)
                        try await producer.send(contentsOf: messages(topic, 600..<900, partitions: 8))
                        try await tasks.waitForAll()
                    }
                    #expect(await second.state.rebalances >= 1)
                }
                // The second has left; the first gets all partitions back and goes on.
                try await waitForAssignment(first, count: 8)
                try await producer.send(contentsOf: messages(topic, 900..<1000, partitions: 8))
                try await work(first, until: 1000)
                let state = await first.state
                #expect(state.rebalances >= 3)
                #expect(state.lostAssignments == 0)
            }
            #expect(await taken.distinct == 1000)
            try await producer.close()
        }
    }

    @Test(arguments: TestKafka.available)
    func busyConsumerKeepsItsPartitions(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 2) { configuration, topic in
            let producer = try await makeProducer(configuration)
            // 6 s without a poll would end the membership; the messages wait in librdkafka for 8 s.
            let properties = ["max.poll.interval.ms": "6000", "session.timeout.ms": "6000"]
            let group = TestKafka.uniqueName("group")
            try await withMember(configuration, group: group, topic: topic, properties: properties) { consumer in
                try await producer.send(contentsOf: messages(topic, 0..<20, partitions: 2))
                let first = try #require(try await consumer.next(within: .seconds(30)))
                let before = await consumer.state
                // The length of the job is what is tested.
                try await Task.sleep(for: .seconds(8))
                let after = await consumer.state
                #expect(after.assignment == before.assignment)
                #expect(after.rebalances == 1)
                #expect(after.revocations == 0)
                await consumer.acknowledge(first)
                #expect(await consumer.state.staleAcknowledgements == 0)
                for _ in 1..<20 { #expect(try await consumer.next(within: .seconds(20)) != nil) }
            }
            try await producer.close()
        }
    }

    @Test(arguments: TestKafka.available)
    func onlyWhatIsNotAcknowledgedComesAgain(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 1) { configuration, topic in
            let group = TestKafka.uniqueName("group")
            let producer = try await makeProducer(configuration)
            try await producer.send(contentsOf: messages(topic, 0..<10, partitions: 1))
            try await withMember(configuration, group: group, topic: topic) { consumer in
                var taken: [KafkaReceivedMessage] = []
                for _ in 0..<6 { taken.append(try #require(try await consumer.next(within: .seconds(30)))) }
                #expect(taken.map(number) == [0, 1, 2, 3, 4, 5])
                // 3 stays open, so 4 and 5 must not hide it.
                for index in [1, 0, 5, 2, 4] { await consumer.acknowledge(taken[index]) }
            }
            try await withMember(configuration, group: group, topic: topic) { consumer in
                for expected in 3..<10 {
                    let message = try #require(try await consumer.next(within: .seconds(30)))
                    #expect(number(message) == expected)
                    await consumer.acknowledge(message)
                }
            }
            try await withMember(configuration, group: group, topic: topic) { consumer in
                try await waitForAssignment(consumer, count: 1)
                #expect(try await consumer.next(within: .milliseconds(500)) == nil)
            }
            try await producer.close()
        }
    }

    @Test(arguments: TestKafka.available)
    func acknowledgementAfterARebalanceIsCountedAndHarmless(cluster: TestKafka) async throws {
        try await cluster.withTopic(partitions: 2) { configuration, topic in
            let group = TestKafka.uniqueName("group")
            let producer = try await makeProducer(configuration)
            try await withMember(configuration, group: group, topic: topic) { first in
                try await producer.send(contentsOf: messages(topic, 0..<1, partitions: 2))
                let taken = try #require(try await first.next(within: .seconds(30)))
                try await withMember(configuration, group: group, topic: topic) { second in
                    try await waitForAssignment(first, count: 1)
                    try await waitForAssignment(second, count: 1)
                    await first.acknowledge(taken)
                    #expect(await first.state.staleAcknowledgements == 1)
                    // Whoever has the partition now gets the message again.
                    let owner = await first.state.assignment.contains { $0.number == taken.partition } ? first : second
                    let again = try #require(try await owner.next(within: .seconds(30)))
                    #expect(again.offset == taken.offset)
                    await owner.acknowledge(again)
                }
            }
            try await producer.close()
        }
    }

    @Test func everyMessageGoesToOneOfManyWaitingTasks() async throws {
        try await TestKafka.embedded.withTopic(partitions: 4) { configuration, topic in
            let producer = try await makeProducer(configuration)
            try await withMember(configuration, group: "g", topic: topic) { consumer in
                try await waitForAssignment(consumer, count: 4)
                let seen = try await withThrowingTaskGroup(of: Int.self) { tasks in
                    for _ in 0..<50 {
                        tasks.addTask { number(try #require(try await consumer.next(within: .seconds(30)))) }
                    }
                    try await producer.send(contentsOf: messages(topic, 0..<50, partitions: 4))
                    var seen: [Int] = []
                    for try await one in tasks { seen.append(one) }
                    return seen
                }
                #expect(seen.sorted() == Array(0..<50))
            }
            try await producer.close()
        }
    }

    @Test func cancelledWaitersLoseNothing() async throws {
        try await TestKafka.embedded.withTopic(partitions: 2) { configuration, topic in
            let producer = try await makeProducer(configuration)
            try await withMember(configuration, group: "g", topic: topic) { consumer in
                try await waitForAssignment(consumer, count: 2)
                var seen: [Int] = []
                for round in 0..<40 {
                    let waiters = (0..<5).map { _ in Task { try await consumer.next(within: .seconds(30)) } }
                    let sending = Task {
                        try await producer.send(contentsOf: messages(topic, round * 5..<round * 5 + 5, partitions: 2))
                    }
                    // The cancellation meets messages that are just being handed over.
                    for _ in 0..<(round * 3 % 50) { await Task.yield() }
                    for waiter in waiters { waiter.cancel() }
                    for waiter in waiters {
                        do {
                            if let message = try await waiter.value { seen.append(number(message)) }
                        } catch is CancellationError {}
                    }
                    try await sending.value
                }
                while seen.count < 200, let message = try await consumer.next(within: .seconds(5)) {
                    seen.append(number(message))
                }
                #expect(seen.sorted() == Array(0..<200))
            }
            try await producer.close()
        }
    }

    @Test func waitEndsWithTheTime() async throws {
        try await TestKafka.embedded.withTopic(partitions: 1) { configuration, topic in
            try await withMember(configuration, group: "g", topic: topic) { consumer in
                for limit: Duration in [.zero, .milliseconds(20)] {
                    let message = try await consumer.next(within: limit)
                    #expect(message == nil)
                }
            }
        }
    }

    @Test func closingEndsTheWaits() async throws {
        try await TestKafka.embedded.withTopic(partitions: 1) { configuration, topic in
            try await withMember(configuration, group: "g", topic: topic) { consumer in
                let waiting = Task { try await consumer.next(within: .seconds(60)) }
                while await consumer.waiting == 0 { await Task.yield() }
                try await consumer.close()
                let error = await #expect(throws: KafkaError.self) { _ = try await waiting.value }
                #expect(error?.code == .closed)
                await #expect(throws: KafkaError.self) { _ = try await consumer.next(within: .seconds(1)) }
            }
        }
    }

    @Test func closingIsBoundedWhenTheBrokerIsAway() async throws {
        let cluster = try await makeCluster(topics: [.init(name: "t", partitions: 1)])
        let configuration = await cluster.configuration(clientID: "test")
        let consumer = try await KafkaConsumer(
            configuration: configuration, group: "g", topics: ["t"], metrics: MetricsRegistry(),
            logger: TestKafka.logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await consumer.run() }
            try await waitForAssignment(consumer, count: 1)
            tasks.cancelAll()
        }
        await cluster.takeDown()
        let clock = ContinuousClock()
        let start = clock.now
        // Whether librdkafka gets it done without the broker is its affair; that we come back is ours.
        try? await consumer.close(within: .seconds(3))
        #expect(clock.now - start < .seconds(6))
        await cluster.close()
    }

    @Test func fatalErrorEndsRunAndWaits() async throws {
        try await TestKafka.embedded.withTopic(partitions: 1) { configuration, topic in
            let consumer = try await KafkaConsumer(
                configuration: configuration, group: "g", topics: [topic], metrics: MetricsRegistry(),
                logger: TestKafka.logger)
            let running = Task { try await consumer.run() }
            try await waitForAssignment(consumer, count: 1)
            let waiting = Task { try await consumer.next(within: .seconds(60)) }
            while await consumer.waiting == 0 { await Task.yield() }
            await consumer.induceFatalError()
            let error = await #expect(throws: KafkaError.self) { try await running.value }
            #expect(error?.isFatal == true)
            await #expect(throws: KafkaError.self) { _ = try await waiting.value }
            try await consumer.close()
        }
    }

    @Test(.enabled(if: TestKafka.isRealExpected, .init(rawValue: TestKafka.skipReason)))
    func lagIsUnknownUntilACommit() async throws {
        try await TestKafka.real.withTopic(partitions: 2) { configuration, topic in
            let producer = try await makeProducer(configuration)
            try await producer.send(contentsOf: messages(topic, 0..<10, partitions: 1))
            let properties = ["statistics.interval.ms": "200"]
            let group = TestKafka.uniqueName("group")
            try await withMember(configuration, group: group, topic: topic, properties: properties) { consumer in
                try await waitForAssignment(consumer, count: 2)
                #expect(await consumer.state.lag == nil)
                for _ in 0..<4 {
                    await consumer.acknowledge(try #require(try await consumer.next(within: .seconds(20))))
                }
                while await consumer.state.lag != 6 { try await Task.sleep(for: .milliseconds(20)) }
            }
            try await producer.close()
        }
    }

    @Test(.enabled(if: TestKafka.isRealExpected, .init(rawValue: TestKafka.skipReason)))
    func latency() async throws {
        try await TestKafka.real.withTopic(partitions: 16) { configuration, topic in
            let producer = try await KafkaProducer(
                configuration: configuration, topics: [topic], linger: .zero, logger: TestKafka.logger)
            try await withMember(configuration, group: TestKafka.uniqueName("group"), topic: topic) { consumer in
                try await waitForAssignment(consumer, count: 16)
                let clock = ContinuousClock()
                var toSend: [Duration] = []
                var toReceive: [Duration] = []
                for number in 0..<1000 {
                    let start = clock.now
                    async let received = consumer.next(within: .seconds(20))
                    try await producer.send(messages(topic, number..<number + 1, partitions: 16)[0])
                    toSend.append(clock.now - start)
                    let message = try #require(try await received)
                    toReceive.append(clock.now - start)
                    await consumer.acknowledge(message)
                }
                report("send until confirmed", toSend)
                report("send until taken", toReceive)

                // What one member can take at once.
                try await producer.send(contentsOf: messages(topic, 0..<20000, partitions: 16))
                let start = clock.now
                let taken = Taken()
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for _ in 0..<4 {
                        tasks.addTask {
                            while await taken.total < 20000 {
                                guard let message = try await consumer.next(within: .milliseconds(50)) else { continue }
                                await taken.note(message)
                                await consumer.acknowledge(message)
                            }
                        }
                    }
                    try await tasks.waitForAll()
                }
                print("20000 messages taken and acknowledged by 4 tasks in \(clock.now - start)")
            }
            try await producer.close()
        }
    }

    private func report(_ name: String, _ durations: [Duration]) {
        let sorted = durations.sorted()
        print("\(name): p50 \(sorted[sorted.count / 2]), p99 \(sorted[sorted.count * 99 / 100]), max \(sorted.last!)")
    }
}

/// What several tasks took.
private actor Taken {
    private var offsets: [Int32: [Int64]] = [:]

    func note(_ message: KafkaReceivedMessage) { offsets[message.partition, default: []].append(message.offset) }

    var total: Int { offsets.values.reduce(0) { $0 + $1.count } }
    var distinct: Int { offsets.values.reduce(0) { $0 + Set($1).count } }
    var isOrdered: Bool { offsets.values.allSatisfy { $0 == $0.sorted() } }
}

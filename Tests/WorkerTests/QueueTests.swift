import BlockingIO
import JobModel
import Kafka
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Testing

@testable import Worker

/// A broker that is away fills no memory and holds up no slot.
@Suite(.timeLimit(.minutes(1))) struct QueueTests {
    /// Nothing listens on port 1.
    private func producer() async throws -> KafkaProducer {
        try await KafkaProducer.make(
            configuration: KafkaConfiguration(bootstrapServers: "127.0.0.1:1", clientID: "test"),
            linger: .milliseconds(5), logger: Logger(label: "test"))
    }

    @Test func eventsBeyondTheBoundAreLeftToTheCoordinator() async throws {
        let (producer, drain) = (try await producer(), GracefulShutdown())
        let nowhere = PostgresConfiguration(host: "127.0.0.1", port: 1, database: "d", user: "u", password: nil)
        let events = EventPublisher(
            producer: producer, ledger: Ledger(nowhere, purpose: "test"), topic: "events", workerID: "w", drain: drain,
            logger: Logger(label: "test"))
        let service = Task { try await events.run() }
        let run = RunContext(
            runID: try RunID("20260401t031500123z_7f3a"), businessDate: try BusinessDate("2026-03-31"), clientID: "c",
            environment: "dev")
        let job = try JobID("20260401t031500123z_7f3a/tripica.charges/0003")
        for attempt in 1...EventPublisher.maximumOpenEvents + 500 {
            await events.publish(
                Event(run: run, body: JobStarted(jobID: job, attempt: attempt, workerID: "w")))
        }
        #expect(await events.openEvents == EventPublisher.maximumOpenEvents)
        #expect(await events.leftEvents == 500)
        // The client gives up on what it holds, and the publisher ends with it.
        drain.request()
        try await producer.close(within: .milliseconds(100))
        try await service.value
        #expect(await events.openEvents == 0)
    }

    @Test func aDeadLetterHoldsUpTheNextOneForItsLimitOnly() async throws {
        let (producer, second) = (try await producer(), OneShot<Void>())
        let queue = DeadLetterQueue(topic: "dead", sendLimit: .milliseconds(50), logger: Logger(label: "test")) {
            if $0.value == [2] { second.resolve(.success(())) }
            try await producer.send($0)
        }
        #expect(queue.add(key: nil, value: [1], headers: []))
        #expect(queue.add(key: nil, value: [2], headers: []))
        for _ in 2..<DeadLetterQueue.maximumWaiting { #expect(queue.add(key: nil, value: [3], headers: [])) }
        // Full: the caller is told at once, and does not wait.
        #expect(!queue.add(key: nil, value: [4], headers: []))
        let service = Task { try await queue.run() }
        try await second.value
        service.cancel()
        _ = await service.result
        try await producer.close(within: .milliseconds(100))
    }
}

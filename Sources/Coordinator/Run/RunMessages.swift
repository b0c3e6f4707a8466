import BlockingIO
import CloudEventsKafka
import Foundation
import JobModel
import Kafka
import Ledger
import Logging
import ServiceLifecycle
import Timing

/// Publishes the coordinator's messages. All of them are hints that no step waits for, except `run.completed`.
final class RunMessages: Service {
    private let producer: KafkaProducer
    private let topics: Topics
    private let source: String
    private let logger: Logger
    /// Requested when nothing more is told: `run` then ends with the last delivery.
    private let drain: GracefulShutdown
    private let outbox: AsyncStream<[KafkaMessage]>
    private let outboxEntry: AsyncStream<[KafkaMessage]>.Continuation
    /// Whether the broker acknowledged the last hint; nil before the first one.
    private let isBrokerReachable = Mutex<Bool?>(nil)

    init(producer: KafkaProducer, topics: Topics, drain: GracefulShutdown, logger: Logger) {
        self.producer = producer
        self.drain = drain
        self.topics = topics
        self.logger = logger
        source = "/bda/coordinator/\(ProcessInfo.processInfo.hostName)/\(ProcessInfo.processInfo.processIdentifier)"
        // A dropped request loses no job: idle slots find the job in the ledger.
        (outbox, outboxEntry) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1024))
    }

    /// Sends the queued messages until the drain is requested and the queue is empty, or the task is cancelled.
    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                try? await self.drain.wait()
                self.outboxEntry.finish()
            }
            await self.send()
            group.cancelAll()
        }
    }

    private func send() async {
        for await messages in outbox {
            do {
                try await producer.send(contentsOf: messages)
                isBrokerReachable.withLock { $0 = true }
            } catch is CancellationError {
                return
            } catch {
                let wasReachable = isBrokerReachable.withLock { reachable in
                    defer { reachable = false }
                    return reachable != false
                }
                if wasReachable {
                    logger.warning(
                        "unable to publish; workers take the jobs from the ledger with a short delay",
                        metadata: [.error: "\(error)", .topic: "\(topics.jobs)"])
                }
            }
        }
    }

    /// Queues requests for jobs, longest job first, spread over the topic's partitions.
    func request(_ jobs: [JobID], of run: RunContext) {
        if jobs.isEmpty { return }
        do {
            outboxEntry.yield(
                try jobs.map { job in
                    try KafkaMessage(
                        CloudEvent(Event(run: run, body: JobRequested(jobID: job)), source: source, at: Date()),
                        topic: topics.jobs, key: nil)
                })
        } catch {
            logger.error("unable to encode a request", metadata: [.error: "\(error)"])
        }
    }

    /// Queues an event of the run; the run does not wait for its delivery.
    func tell<Body: EventBody>(_ body: Body, of run: RunContext) {
        do {
            outboxEntry.yield([try runMessage(body, of: run)])
        } catch {
            logger.error("unable to encode an event", metadata: [.error: "\(error)"])
        }
    }

    /// Publishes the run's last event and waits ten seconds at most for the acknowledgement: the ledger has the same
    /// facts.
    func tellLast<Body: EventBody>(_ body: Body, of run: RunContext) async {
        try? await withTimeLimit(.seconds(10)) { try await self.announce(body, of: run) }
    }

    /// Publishes an event of the run for BI and waits until the broker has acknowledged it.
    func announce<Body: EventBody>(_ body: Body, of run: RunContext) async throws {
        try await producer.send(try runMessage(body, of: run))
    }

    private func runMessage<Body: EventBody>(_ body: Body, of run: RunContext) throws -> KafkaMessage {
        KafkaMessage(
            try CloudEvent(Event(run: run, body: body), source: source, at: Date()), topic: topics.runs, key: run.runID)
    }

    /// Publishes completion events that workers have not published. The event ids are those that the workers would use.
    func publish(_ owed: [OwedEvent]) async throws {
        try await producer.send(
            contentsOf: owed.map {
                try KafkaMessage(
                    CloudEvent(Event(run: $0.run, body: $0.body), source: source, at: Date()), topic: topics.events,
                    key: $0.run.runID)
            })
    }
}

/// A wake-up signal with many senders and one waiting task.
final class Bell: Sendable {
    private enum State {
        case silent
        case rung
        case waiting(OneShot<Void>)
    }

    private let state = Mutex(State.silent)

    func ring() {
        let waiter = state.withLock { state -> OneShot<Void>? in
            guard case .waiting(let waiter) = state else {
                state = .rung
                return nil
            }
            state = .silent
            return waiter
        }
        waiter?.resolve(.success(()))
    }

    /// Returns when the bell has rung since the last wait, or after `time`.
    func wait(atMost time: Duration) async {
        let waiter = OneShot<Void>()
        let hasRung = state.withLock { state in
            defer { if case .rung = state { state = .silent } else { state = .waiting(waiter) } }
            if case .rung = state { return true }
            return false
        }
        if hasRung { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await waiter.value }
            group.addTask { try? await Task.sleep(for: time) }
            await group.next()
            group.cancelAll()
        }
        state.withLock { if case .waiting = $0 { $0 = .silent } }
    }
}

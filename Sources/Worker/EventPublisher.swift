import CloudEventsKafka
import Foundation
import JobModel
import Kafka
import Ledger
import Logging
import ServiceLifecycle

/// Publishes a worker's events beside its jobs. An event that cannot be sent does no harm: the ledger holds the result,
/// and the coordinator publishes the completions that are not noted as sent.
actor EventPublisher: Service {
    private let producer: KafkaProducer
    private let ledger: Ledger
    private let topic: String
    private let source: String
    private let logger: Logger
    /// Requested when nothing more will be published: `run` then ends with the last delivery.
    private let drain: GracefulShutdown

    private let waiting: AsyncStream<Outgoing>
    private let entry: AsyncStream<Outgoing>.Continuation
    private var sent: [JobID] = []
    /// The number of events that wait or are in flight, and the number left to the coordinator since the queue was
    /// full.
    private(set) var openEvents = 0
    private(set) var leftEvents = 0
    /// Whether the last event could not be sent: a continuing problem is logged once.
    private var isFailing = false

    private struct Outgoing: Sendable {
        let message: KafkaMessage
        /// The job whose completion the message announces.
        let completed: JobID?
    }

    /// The maximum number of events that wait or are in flight; during a broker outage, later ones are left to the
    /// coordinator.
    static let maximumOpenEvents = 1000

    init(
        producer: KafkaProducer, ledger: Ledger, topic: String, workerID: String, drain: GracefulShutdown,
        logger: Logger
    ) {
        self.producer = producer
        self.ledger = ledger
        self.topic = topic
        source = "/bda/worker/\(workerID)"
        self.logger = logger
        self.drain = drain
        // `publish` limits its length.
        (waiting, entry) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    /// Queues an event, unless too many are open.
    func publish<Body: EventBody>(_ event: Event<Body>) {
        guard openEvents < Self.maximumOpenEvents else {
            if leftEvents == 0 {
                logger.warning(
                    "the queue of events is full; the coordinator publishes completions that are not sent",
                    metadata: [.count: "\(openEvents)", .topic: "\(topic)"])
            }
            leftEvents += 1
            return
        }
        leftEvents = 0
        do {
            let message = try KafkaMessage(
                CloudEvent(event, source: source, at: Date()), topic: topic, key: event.run.runID)
            openEvents += 1
            entry.yield(Outgoing(message: message, completed: (event.body as? JobCompleted)?.jobID))
        } catch {
            logger.error("unable to encode an event", metadata: [.error: "\(error)"])
        }
    }

    func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.noteSentEvents() }
            // These two tasks end when the drain has begun and the last event is delivered.
            group.addTask {
                await withDiscardingTaskGroup { sends in
                    for await outgoing in self.waiting {
                        sends.addTask { await self.send(outgoing.message, completed: outgoing.completed) }
                    }
                }
            }
            group.addTask {
                try? await self.drain.wait()
                self.entry.finish()
            }
            await group.next()
            await group.next()
            group.cancelAll()
        }
        await flushNotes()
    }

    private func send(_ message: KafkaMessage, completed: JobID?) async {
        defer { openEvents -= 1 }
        do {
            try await producer.send(message)
            if let completed { sent.append(completed) }
            isFailing = false
        } catch {
            logger.log(
                level: isFailing ? .debug : .warning, "unable to publish an event",
                metadata: [.error: "\(error)", .topic: "\(topic)"])
            isFailing = true
        }
    }

    private func noteSentEvents() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(200))
            await flushNotes()
        }
    }

    private func flushNotes() async {
        guard !sent.isEmpty else { return }
        let noted = sent
        sent = []
        do {
            try await ledger.results.markEventsSent(noted)
        } catch {
            // The coordinator publishes these events again, with the same ids.
            logger.debug("unable to note sent events", metadata: [.error: "\(error)"])
        }
    }
}

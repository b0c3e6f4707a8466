import CloudEventsKafka
import Foundation
import HealthEndpoint
import JobModel
import Kafka
import Ledger
import Logging
import Metrics
import Postgres
import ServiceLifecycle
import Settings

/// The objects that the slots of a worker share.
struct WorkerContext: Sendable {
    let settings: WorkerSettings
    let logger: Logger
    /// Uses the session of the lease keeper. Besides renewals it carries only short statements that wait for no lock:
    /// the notes of sent events, and the reads of the snapshot keeper.
    let ledger: Ledger
    let consumer: KafkaConsumer
    let deadLetters: DeadLetterQueue
    let events: EventPublisher
    let runs: RunCache
    let runner: JobRunner
    let running = RunningJobs()
    /// Requested when the worker takes no more jobs.
    let drain: GracefulShutdown
    let readiness: Readiness
    let metrics: WorkerMetrics

    /// The next job request, for the first slot that waits. A drain ends the wait within a fifth of a second, so that
    /// an idle slot does not use up the drain limit.
    func nextMessage(within time: Duration) async throws -> KafkaReceivedMessage? {
        let deadline = ContinuousClock.now + time
        repeat {
            let slice = max(.zero, min(deadline - ContinuousClock.now, .milliseconds(200)))
            do {
                if let message = try await consumer.next(within: slice) { return message }
            } catch let error as KafkaError {
                // Without a broker the ledger still has the jobs: the slot continues as if no message had come.
                logger.debug("unable to read a job request", metadata: [.error: "\(error)"])
                try await Task.sleep(for: slice)
            }
        } while !drain.isRequested && ContinuousClock.now < deadline
        return nil
    }

    /// The job that a message names. A message that cannot be decoded is queued for the dead-letter topic, and the
    /// result is nil.
    func decode(_ message: KafkaReceivedMessage) -> JobID? {
        do {
            return try message.event(of: JobRequested.self).body.jobID
        } catch {
            metrics.deadLetters.increment(by: 1)
            let reason = KafkaHeader(name: "bda_reason", text: "\(error)")
            let source = KafkaHeader(
                name: "bda_source", text: "\(message.topic)/\(message.partition)/\(message.offset)")
            let isQueued = deadLetters.add(
                key: message.key, value: message.value, headers: message.headers + [reason, source])
            let metadata: Logger.Metadata = [
                .error: "\(error)", .topic: "\(message.topic)", .kafkaPartition: "\(message.partition)",
                .offset: "\(message.offset)",
            ]
            if isQueued {
                logger.warning(
                    "a message on the jobs topic cannot be read and goes to the dead-letter topic", metadata: metadata)
            } else {
                logger.warning(
                    "a message on the jobs topic cannot be read, and too many wait for the dead-letter topic",
                    metadata: metadata)
            }
            return nil
        }
    }

    func acknowledge(_ message: KafkaReceivedMessage) async { await consumer.acknowledge(message) }

    /// A claim, and the end of its lease by this machine's monotonic clock.
    struct Taken {
        var claim: Claim
        /// The session that the claim names.
        var session: PostgresSession
        var leaseEnd: ContinuousClock.Instant
    }

    /// Claims a job for a slot's session, on that session. Returns nil if no job is claimable.
    func claim(_ jobID: JobID?, on ledger: Ledger) async throws -> Taken? {
        let session = try await ledger.connection.connected()
        let leaseEnd = ContinuousClock.now + .seconds(settings.leaseSeconds)
        return try await ledger.jobs.claim(
            jobID, clientID: settings.clientID, environment: settings.environment, workerID: settings.workerID,
            backend: try await session.backend(), leaseSeconds: settings.leaseSeconds
        ).map { Taken(claim: $0, session: session, leaseEnd: leaseEnd) }
    }
}

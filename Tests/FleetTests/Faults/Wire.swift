import BlockingIO
import Foundation
import JobModel
import CloudEventsKafka
import Kafka
import TestSupport

/// All that is said on a fleet's topics while a scenario lasts, read as BI would: past the proxy, and on through outages.
actor WireRecorder {
    private(set) var messages: [String: [KafkaReceivedMessage]] = [:]
    private var tasks: [Task<Void, Never>] = []
    private var readers: [KafkaTopicReader] = []

    /// Begins to read what is sent from now on.
    func start(_ topics: [String], on kafka: KafkaConfiguration) async throws {
        for topic in topics {
            let reader = try await KafkaTopicReader.make(
                configuration: kafka, topic: topic, from: .end, logger: TestKafka.logger)
            readers.append(reader)
            tasks.append(
                Task { [weak self] in
                    while !Task.isCancelled {
                        if let message = try? await reader.next(within: .seconds(1)) {
                            await self?.note(message)
                        } else {
                            try? await Task.sleep(for: .milliseconds(20))
                        }
                    }
                })
        }
    }

    private func note(_ message: KafkaReceivedMessage) { messages[message.topic, default: []].append(message) }

    /// As if nothing had been said so far.
    func forget() { messages = [:] }

    func end() async {
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        for reader in readers { try? await reader.close(within: .seconds(5)) }
    }
}

/// Sends what nobody should believe.
struct Forger {
    static let source = "/forger"
    let fleet: Fleet
    let topics: Topics

    init(_ fleet: Fleet) {
        self.fleet = fleet
        topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
    }

    /// Job requests and events with real ids and with made-up ones: completions and failures of jobs that are neither,
    /// attempts that were never made, other runs and other clients.
    func forge(_ jobs: [JobID], of run: RunContext) async throws {
        var messages: [KafkaMessage] = []
        var otherClient = run
        otherClient.clientID = "somebody"
        var otherRun = run
        otherRun.runID = try RunID("20990101t000000000z_zzzz")
        for context in [run, otherClient, otherRun] {
            for job in jobs {
                let job = JobID(run: context.runID, segment: job.segment, partition: job.partition)
                for attempt in [1, 2, 99] {
                    let completed = JobCompleted(
                        jobID: job, attempt: attempt, workerID: "forger", rows: 1, bytes: 1, partCount: 1, totals: [],
                        durationMs: 1)
                    let failed = JobFailed(
                        jobID: job, attempt: attempt, workerID: "forger", outcome: "rejected", code: "forged",
                        message: "forged", hint: nil, retryAt: nil)
                    messages.append(try message(completed, in: context, to: topics.events))
                    messages.append(try message(failed, in: context, to: topics.events))
                }
                messages.append(try message(JobRequested(jobID: job), in: context, to: topics.jobs))
            }
            let unknown = JobID(run: context.runID, segment: try SegmentName("tripica.unknown"), partition: 9999)
            messages.append(try message(JobRequested(jobID: unknown), in: context, to: topics.jobs))
            let runFailed = RunFailed(exitCode: 11, reason: "forged", hint: nil, failedJobs: [])
            messages.append(try message(runFailed, in: context, to: topics.runs))
        }
        try await send(messages)
    }

    private func message<Body: EventBody>(
        _ body: Body, in run: RunContext, to topic: String
    ) throws -> KafkaMessage {
        KafkaMessage(
            try CloudEvent(Event(run: run, body: body), source: Self.source, at: Date()), topic: topic, key: run.runID)
    }

    /// Messages again, each twice, the last first.
    func repeatReversed(_ messages: [KafkaReceivedMessage]) async throws {
        try await send(
            messages.reversed().flatMap { message in
                let again = KafkaMessage(
                    topic: message.topic, key: message.key, value: message.value, headers: message.headers)
                return [again, again]
            })
    }

    /// Bytes without meaning on topics; on every topic when none is named.
    func sendGarbage(_ generator: inout SeededGenerator, to names: [String] = []) async throws {
        var messages: [KafkaMessage] = []
        let all = [topics.jobs, topics.events, topics.runs, topics.deadLetters]
        for topic in names.isEmpty ? all : names {
            for length in [0, 1, 17, 300, 60_000] {
                let value = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
                messages.append(KafkaMessage(topic: topic, value: value))
                messages.append(
                    KafkaMessage(
                        topic: topic, key: value.prefix(5).map { $0 }, value: value,
                        headers: [
                            KafkaHeader(name: "ce_specversion", text: "1.0"),
                            KafkaHeader(name: "ce_type", text: JobRequested.type),
                            KafkaHeader(name: "ce_id", value: value.prefix(20).map { $0 }),
                        ]))
            }
            messages.append(
                KafkaMessage(
                    topic: topic, value: Array(#"{"job_id":"'; DROP SCHEMA bda CASCADE; --"}"#.utf8),
                    headers: [
                        KafkaHeader(name: "ce_specversion", text: "1.0"),
                        KafkaHeader(name: "ce_type", text: JobRequested.type),
                    ]))
        }
        try await send(messages)
    }

    private func send(_ messages: [KafkaMessage]) async throws {
        let producer = try await KafkaProducer.make(
            configuration: fleet.kafka, linger: .milliseconds(5), logger: TestKafka.logger)
        do {
            try await producer.send(contentsOf: messages)
        } catch {
            try? await producer.close(within: .seconds(5))
            throw error
        }
        try await producer.close(within: .seconds(5))
    }
}

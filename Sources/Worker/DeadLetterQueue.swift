import Kafka
import Logging
import ServiceLifecycle
import Timing

/// Copies messages that cannot be decoded to the dead-letter topic, beside the slots: a topic that refuses them, or a
/// broker outage, delays no job.
struct DeadLetterQueue: Service {
    private let topic: String
    private let sendLimit: Duration
    private let logger: Logger
    private let send: @Sendable (KafkaMessage) async throws -> Void
    private let waiting: AsyncStream<KafkaMessage>
    private let entry: AsyncStream<KafkaMessage>.Continuation

    /// The maximum number of waiting messages. `add` refuses further ones.
    static let maximumWaiting = 100

    /// - Parameters:
    ///   - sendLimit: the time limit of one message.
    ///   - send: sends a message; it must end soon after its task is cancelled.
    init(
        topic: String, sendLimit: Duration = .seconds(10), logger: Logger,
        send: @escaping @Sendable (KafkaMessage) async throws -> Void
    ) {
        self.sendLimit = sendLimit
        self.topic = topic
        self.logger = logger
        self.send = send
        (waiting, entry) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.maximumWaiting))
    }

    /// Queues a message. Returns false if the queue is full.
    func add(key: [UInt8]?, value: [UInt8], headers: [KafkaHeader]) -> Bool {
        guard case .enqueued = entry.yield(KafkaMessage(topic: topic, key: key, value: value, headers: headers)) else {
            return false
        }
        return true
    }

    func run() async throws {
        for await letter in waiting {
            do {
                try await withTimeLimit(sendLimit) { [send] in try await send(letter) }
            } catch {
                // The message stays on the jobs topic; a log line has its offset.
                logger.warning(
                    "unable to send a message to the dead-letter topic",
                    metadata: [.error: "\(error)", .topic: "\(topic)"])
            }
        }
    }
}

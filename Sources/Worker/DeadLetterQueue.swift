import Kafka
import Logging
import ServiceLifecycle
import Timing

/// Copies messages that cannot be decoded to the dead-letter topic, beside the slots: a topic that refuses them, or a broker
/// that is away, holds up no job.
struct DeadLetterQueue: Service {
    private let topic: String
    private let sendLimit: Duration
    private let logger: Logger
    private let send: @Sendable (KafkaMessage) async throws -> Void
    private let waiting: AsyncStream<KafkaMessage>
    private let entry: AsyncStream<KafkaMessage>.Continuation

    /// At most this many messages wait. Later ones are only logged by their taker.
    static let maximumWaiting = 100

    /// - Parameters:
    ///   - sendLimit: how long one message may take.
    ///   - send: sends a message and ends soon after its task is cancelled.
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

    /// Takes a message to be sent soon. Returns false if the queue is full.
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
                // The message stays where it came from; the log has its place.
                logger.warning(
                    "unable to send a message to the dead-letter topic",
                    metadata: [.error: "\(error)", .topic: "\(topic)"])
            }
        }
    }
}

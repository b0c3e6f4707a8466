internal import Timing

/// Closes a client with `body`. Throws if `body` has not ended within `limit`, or returns false: librdkafka then does
/// not release the client, which is left behind, and the process should end.
func closeClient(
    _ client: String, within limit: Duration, _ body: @escaping @Sendable () async throws -> Bool
) async throws {
    do {
        if try await withTimeLimitLeavingBehind(limit, body) { return }
    } catch is TimeLimitExceeded {}
    throw KafkaError(
        code: .timedOut, action: "close the Kafka \(client)",
        hint: "the process can be ended without loss: unconfirmed messages are sent or delivered again")
}

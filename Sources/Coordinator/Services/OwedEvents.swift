import JobModel
import Kafka
import Ledger
import Logging
import ServiceLifecycle

/// Publishes the completion events that workers owe: of this run and of former ones. Nothing waits for it.
struct OwedEvents: Service {
    let settings: CoordinatorSettings
    let ledger: Ledger
    let messages: RunMessages
    let logger: Logger

    private static let tick = Duration.seconds(5)
    /// A worker that lives has noted its event by then.
    private static let patienceSeconds = 10
    private static let batch = 500

    func run() async throws {
        while !Task.isCancelled {
            do {
                while try await publish(olderThanSeconds: Self.patienceSeconds) == Self.batch {}
            } catch is CancellationError {
                return
            } catch {
                logger.debug("unable to publish owed events", metadata: [.error: "\(error)"])
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    /// Publishes a batch and returns its size.
    func publish(olderThanSeconds seconds: Int) async throws -> Int {
        let owed = try await ledger.results.owedEvents(
            clientID: settings.clientID, environment: settings.deployment, olderThanSeconds: seconds,
            limit: Self.batch)
        if owed.isEmpty { return 0 }
        try await messages.publish(owed)
        try await ledger.results.markEventsSent(owed.map(\.body.jobID))
        return owed.count
    }
}

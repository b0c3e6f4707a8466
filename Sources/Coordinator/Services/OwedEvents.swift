import JobModel
import Kafka
import Ledger
import Logging
import ServiceLifecycle

/// Publishes completion events that workers have not published, of this run and of earlier ones. No step waits for it.
struct OwedEvents: Service {
    let settings: CoordinatorSettings
    let ledger: Ledger
    let messages: RunMessages
    let logger: Logger

    private static let tick = Duration.seconds(5)
    /// An active worker has recorded its event as sent within this time.
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

import Foundation
import JobModel
import Kafka
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Settings
import Timing

/// Checks every few seconds whether Kafka is reachable, and records an outage in the log and in the row of the open
/// run, where `status` reads it. An outage has no other effect: workers take jobs from the ledger, and sending is
/// retried.
struct KafkaHealth: Service {
    let kafka: KafkaConfiguration
    let settings: CoordinatorSettings
    let businessDate: BusinessDate
    let logger: Logger

    private static let interval = Duration.seconds(3)

    func run() async throws {
        let admin = try await KafkaAdmin.make(configuration: kafka, logger: logger)
        // A session of its own, because the run's session may be busy for a long time.
        let ledger = Ledger(settings.database, purpose: "coordinator watch")
        var outage: Date?
        var isNoted = false
        while !Task.isCancelled {
            do {
                try await admin.checkReachable(within: .seconds(5), topic: settings.topics.runs)
                if let since = outage {
                    logger.info(
                        "Kafka is reachable again",
                        metadata: [.reason: "unreachable since \(Timestamp.text(of: since))"])
                    (outage, isNoted) = (nil, false)
                }
            } catch is CancellationError {
                break
            } catch {
                if outage == nil {
                    (outage, isNoted) = (Date(), false)
                    logger.warning(
                        "Kafka is unreachable; workers take the jobs from the ledger with a short delay",
                        metadata: [.error: "\(error)", .hint: "\((error as? KafkaError)?.hint ?? "")"])
                }
            }
            // The outage is recorded repeatedly, because another run may have begun meanwhile.
            if !isNoted || outage != nil {
                do {
                    try await ledger.runs.noteKafkaOutage(
                        since: outage.map { Timestamp.text(of: $0) }, clientID: settings.clientID,
                        environment: settings.deployment, businessDate: businessDate)
                    isNoted = true
                } catch {
                    logger.debug("unable to record whether Kafka is reachable", metadata: [.error: "\(error)"])
                }
                await ledger.close()
            }
            try? await Task.sleep(for: Self.interval)
        }
        try? await admin.close()
    }
}

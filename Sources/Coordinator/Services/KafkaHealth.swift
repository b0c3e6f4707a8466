import Foundation
import JobModel
import Kafka
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Settings
import Timing

/// Asks Kafka every few seconds whether it is there, and notes an outage in the log and in the open run's row, where
/// `status` finds it. Nothing else follows from it: jobs are taken from the ledger, and the broker is tried all the while.
struct KafkaHealth: Service {
    let kafka: KafkaConfiguration
    let settings: CoordinatorSettings
    let businessDate: BusinessDate
    let logger: Logger

    private static let interval = Duration.seconds(3)

    func run() async throws {
        let admin = try await KafkaAdmin.make(configuration: kafka, logger: logger)
        // Not the run's own session: that one is busy with the run.
        let ledger = Ledger(settings.database, purpose: "coordinator watch")
        var outage: Date?
        var isNoted = false
        while !Task.isCancelled {
            do {
                try await admin.checkReachable(within: .seconds(5), topic: settings.topics.runs)
                if let since = outage {
                    logger.info("Kafka is back", metadata: [.reason: "unreachable since \(Timestamp.text(of: since))"])
                    (outage, isNoted) = (nil, false)
                }
            } catch is CancellationError {
                break
            } catch {
                if outage == nil {
                    (outage, isNoted) = (Date(), false)
                    logger.warning(
                        "Kafka cannot be reached; workers take the jobs from the ledger, a little later",
                        metadata: [.error: "\(error)", .hint: "\((error as? KafkaError)?.hint ?? "")"])
                }
            }
            // Repeated during an outage, because another run may have begun since.
            if !isNoted || outage != nil {
                do {
                    try await ledger.runs.noteKafkaOutage(
                        since: outage.map { Timestamp.text(of: $0) }, clientID: settings.clientID,
                        environment: settings.deployment, businessDate: businessDate)
                    isNoted = true
                } catch {
                    logger.debug("unable to note whether Kafka is there", metadata: [.error: "\(error)"])
                }
                await ledger.close()
            }
            try? await Task.sleep(for: Self.interval)
        }
        try? await admin.close()
    }
}

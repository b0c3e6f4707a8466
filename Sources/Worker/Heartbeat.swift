import Ledger
import Logging
import ServiceLifecycle

/// Notes in the ledger every few seconds that this worker is alive, and at its end that it is gone. A coordinator whose jobs
/// pause between two attempts, or wait behind those of another date, so knows that they will be taken.
struct Heartbeat: Service {
    let ledger: Ledger
    let settings: WorkerSettings
    let logger: Logger

    func run() async throws {
        while !Task.isCancelled {
            do {
                try await ledger.jobs.noteWorker(
                    settings.workerID, clientID: settings.clientID, environment: settings.environment,
                    slots: settings.slots)
            } catch {
                logger.debug("unable to note that the worker is alive", metadata: [.error: "\(error)"])
            }
            try? await Task.sleep(for: JobStore.heartbeat)
        }
        try? await ledger.jobs.removeWorker(
            settings.workerID, clientID: settings.clientID, environment: settings.environment)
    }
}

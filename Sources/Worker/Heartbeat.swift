import Ledger
import Logging
import ServiceLifecycle

/// Notes in the ledger every few seconds that this worker is active, and at its end removes the note. A coordinator
/// whose jobs pause between two attempts, or wait behind those of another date, thereby distinguishes a wait from a
/// lack of workers.
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
                logger.debug("unable to note that the worker is active", metadata: [.error: "\(error)"])
            }
            try? await Task.sleep(for: JobStore.heartbeat)
        }
        try? await ledger.jobs.removeWorker(
            settings.workerID, clientID: settings.clientID, environment: settings.environment)
    }
}

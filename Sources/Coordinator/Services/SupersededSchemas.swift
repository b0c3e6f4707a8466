import JobModel
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Warehouse

/// Drops the schemas of ended runs that no view references. A reader that has locked a table delays this service and
/// not the run: it waits for each lock only briefly and tries again, and `status` lists the remaining schemas.
struct SupersededSchemas: Service {
    let settings: CoordinatorSettings
    let ledger: Ledger
    let logger: Logger

    private static let tick = Duration.seconds(15)

    func run() async throws {
        while !Task.isCancelled {
            do {
                try await sweep()
            } catch is CancellationError {
                return
            } catch {
                logger.debug("unable to drop superseded schemas", metadata: [.error: "\(error)"])
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    private func sweep() async throws {
        let session = try await PostgresSession.connect(settings.database, purpose: "coordinator schemas")
        do {
            for runID in try await Self.found(
                clientID: settings.clientID, environment: settings.deployment, ledger, in: session)
            {
                try Task.checkCancellation()
                do {
                    try await RunSchema.drop(runID, in: session)
                } catch let error as PostgresError where error.sqlState != nil {
                    // A reader has locked a table, or the coordinator of another date is dropping the schema.
                    logger.debug("unable to drop a run's schema", metadata: [.runID: "\(runID)", .error: "\(error)"])
                }
            }
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    /// Returns the ended runs whose schema exists and is referenced by no view.
    static func found(
        clientID: String, environment: String, _ ledger: Ledger, in session: PostgresSession
    ) async throws -> [RunID] {
        var found: [RunID] = []
        for runID in try await RunSchema.existing(in: session) {
            guard let run = try await ledger.runs.run(runID), run.state.isFinal, run.clientID == clientID,
                run.environment == environment, try await !RunSchema.isShown(runID, in: session)
            else { continue }
            found.append(runID)
        }
        return found
    }
}

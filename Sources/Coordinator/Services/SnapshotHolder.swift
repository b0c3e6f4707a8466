import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Warehouse

/// Holds the run's snapshot while the run needs it (`bda.needs_snapshot`), and no longer.
///
/// A coordinator that does not hold the snapshot, because its predecessor or its session ended, imports it from a
/// worker that holds it. If no session holds it any more, the run is interrupted as `snapshot_lost`.
actor SnapshotHolder: Service {
    private let settings: CoordinatorSettings
    private let ledger: Ledger
    private let current: CurrentRun
    private let logger: Logger
    private var held: (runID: RunID, snapshot: Snapshot)?
    private var adopting: Task<PostgresSession, any Error>?

    private static let tick = Duration.seconds(1)

    init(settings: CoordinatorSettings, ledger: Ledger, current: CurrentRun, logger: Logger) {
        self.settings = settings
        self.ledger = ledger
        self.current = current
        self.logger = logger
    }

    func run() async throws {
        while !Task.isCancelled {
            if let run = current.run, run.graphAt != nil {
                do {
                    _ = try await session(holdingSnapshotOf: run)
                } catch let failure as RunFailure where failure.exitCode == .snapshotLost {
                    current.interrupt(run.runID, with: failure)
                } catch is CancellationError {
                    break
                } catch {
                    // The next tick reads the ledger again.
                    logger.debug("unable to check the snapshot", metadata: [.error: "\(error)"])
                }
            }
            try? await Task.sleep(for: Self.tick)
        }
        await close()
    }

    /// Begins to hold the snapshot of a new run.
    func hold(_ snapshot: Snapshot, for runID: RunID) async {
        await close()
        held = (runID, snapshot)
    }

    /// Returns the session that holds the run's snapshot, or nil if the run does not need the snapshot any more.
    /// Imports the snapshot from a worker if this coordinator does not hold it.
    func session(holdingSnapshotOf run: RunRecord) async throws -> PostgresSession? {
        guard try await ledger.snapshots.needsSnapshot(run.runID) else {
            if held != nil { try await release(run.runID) }
            return nil
        }
        if let held, held.runID == run.runID {
            do {
                try await held.snapshot.session.execute("SELECT 1", action: "check the session of the snapshot")
                return held.snapshot.session
            } catch {
                await close()
            }
        }
        // The tick and a step may ask at once: the second gets the session of the first.
        if let adopting { return try await adopting.value }
        let task = Task { try await adopt(run) }
        adopting = task
        defer { adopting = nil }
        return try await task.value
    }

    /// Releases the snapshot, also in the workers that hold it.
    func release(_ runID: RunID) async throws {
        await close()
        try await ledger.snapshots.removeKeepers(of: runID)
        logger.debug("snapshot released", metadata: [.runID: "\(runID)"])
    }

    private func adopt(_ run: RunRecord) async throws -> PostgresSession {
        let tables = try await ledger.snapshots.vaultTables(of: run.runID)
        let session = try await PostgresSession.connect(settings.database, purpose: "coordinator snapshot")
        do {
            let (_, snapshot) = try await ledger.snapshots.withSnapshot(of: run.runID) {
                try await Snapshot.adopt($0, on: session, locking: tables)
            }
            try await ledger.runs.setSnapshot(snapshot.id, of: run)
            await hold(snapshot, for: run.runID)
            logger.info(
                "imported the run's snapshot from a worker that holds it", metadata: [.runID: "\(run.runID)"])
            return session
        } catch {
            await session.close()
            guard let lost = error as? WorkTransaction.SnapshotLost else { throw error }
            throw RunFailure(.snapshotLost, "snapshot_lost: \(lost)", hint: "a new run reads a new snapshot")
        }
    }

    private func close() async {
        let former = held
        held = nil
        await former?.snapshot.release()
    }
}

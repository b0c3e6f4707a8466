import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Warehouse

/// Holds the run's snapshot while jobs that read the vaults are open, and no longer.
///
/// A coordinator that does not hold it, because its predecessor died or the session was lost, takes it over from a worker
/// that does. When no session holds it any more, the run is interrupted as `snapshot_lost`.
actor SnapshotHolder: Service {
    private let settings: CoordinatorSettings
    private let ledger: Ledger
    private let current: CurrentRun
    private let logger: Logger
    private var held: (runID: RunID, snapshot: Snapshot)?

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
                    // The ledger says at the next tick what is to be done.
                    logger.debug("unable to look after the snapshot", metadata: [.error: "\(error)"])
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

    /// The session whose transaction is the run's snapshot; nil if the run does not need it any more. Takes the snapshot
    /// over if it is not held here.
    func session(holdingSnapshotOf run: RunRecord) async throws -> PostgresSession? {
        guard try await ledger.snapshots.needsSnapshot(run.runID) else {
            if held != nil { try await release(run.runID) }
            return nil
        }
        if let held, held.runID == run.runID {
            do {
                try await held.snapshot.session.execute("SELECT 1", action: "look after the snapshot")
                return held.snapshot.session
            } catch {
                await close()
            }
        }
        return try await adopt(run)
    }

    /// Lets the snapshot go, also where workers keep it.
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
                "took the run's snapshot over from a worker that holds it", metadata: [.runID: "\(run.runID)"])
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

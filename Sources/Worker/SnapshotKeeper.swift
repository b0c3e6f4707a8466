import JobModel
import Ledger
import Logging
import Postgres
import ServiceLifecycle
import Settings
import Warehouse

/// Holds a run's snapshot beside its coordinator while jobs that read the vaults are open, so that the reading
/// continues if the coordinator ends: the next coordinator, and other workers, find this worker's id of the snapshot in
/// the ledger.
///
/// A worker uses one session for this. If several runs are open, the workers spread over them.
struct SnapshotKeeper: Service {
    let worker: WorkerContext

    private struct Kept {
        let runID: RunID
        let snapshot: Snapshot
    }

    func run() async throws {
        var kept: Kept?
        // A repeated problem, such as a run without a coordinator, is logged once.
        var problem: String?
        while !Task.isCancelled {
            do {
                if let current = kept {
                    if try await isNeeded(current) {
                        // Fails if the session is lost.
                        try await current.snapshot.session.execute(
                            "SELECT 1", action: "check the session that holds the snapshot")
                    } else {
                        kept = nil
                        await letGo(current)
                    }
                } else {
                    kept = try await keep()
                }
                problem = nil
            } catch {
                worker.logger.log(
                    level: "\(error)" == problem ? .debug : .warning, "unable to keep the run's snapshot",
                    metadata: [.error: "\(error)"])
                problem = "\(error)"
                if let lost = kept { await letGo(lost) }
                kept = nil
                try? await Task.sleep(for: .seconds(4))
            }
            try? await Task.sleep(for: .seconds(1))
        }
        if let kept { await letGo(kept) }
    }

    /// If the ledger cannot be read, the snapshot counts as needed.
    private func isNeeded(_ kept: Kept) async throws -> Bool {
        do {
            return try await worker.ledger.snapshots.needsSnapshot(kept.runID)
        } catch let error as PostgresError {
            worker.logger.debug("unable to read whether the snapshot is needed", metadata: [.error: "\(error)"])
            return true
        }
    }

    /// Becomes a keeper of a snapshot that is needed. Returns nil if no snapshot needs another keeper.
    private func keep() async throws -> Kept? {
        let (settings, ledger) = (worker.settings, worker.ledger)
        guard
            let runID = try await ledger.snapshots.runToKeep(
                clientID: settings.clientID, environment: settings.environment)
        else { return nil }
        let tables = try await ledger.snapshots.vaultTables(of: runID)
        let session = try await PostgresSession.connect(settings.database, purpose: "worker snapshot")
        do {
            let (_, snapshot) = try await ledger.snapshots.withSnapshot(of: runID) {
                try await Snapshot.adopt($0, on: session, locking: tables)
            }
            try await ledger.snapshots.noteKeeper(
                snapshot.id, heldBy: try await session.backend(), of: runID, workerID: settings.workerID)
            worker.logger.debug(
                "keeping the run's snapshot", metadata: [.runID: "\(runID)", .snapshotID: "\(snapshot.id)"])
            return Kept(runID: runID, snapshot: snapshot)
        } catch {
            await session.close()
            throw error
        }
    }

    private func letGo(_ kept: Kept) async {
        await kept.snapshot.release()
        do {
            try await worker.ledger.snapshots.removeKeepers(of: kept.runID, workerID: worker.settings.workerID)
        } catch {
            // The coordinator removes the note when the snapshot is no longer needed.
            worker.logger.debug("unable to remove the note of a kept snapshot", metadata: [.error: "\(error)"])
        }
    }
}

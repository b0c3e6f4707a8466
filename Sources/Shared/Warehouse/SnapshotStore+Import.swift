package import JobModel
package import Ledger

extension SnapshotStore {
    /// Calls `body` with the ids under which the run's snapshot may exist, one after the other, until it does not throw
    /// `SnapshotLost`: the run's own, then its keepers', the newest first. Ids recorded in the meantime are tried as
    /// well.
    ///
    /// - Returns: the valid id, and the result of `body`.
    package func withSnapshot<Value: Sendable>(
        of runID: RunID, _ body: @Sendable (_ snapshotID: String) async throws -> Value
    ) async throws -> (id: String, value: Value) {
        var tried: Set<String> = []
        var loss = WorkTransaction.SnapshotLost(description: "no snapshot of run \(runID) is recorded")
        while true {
            let ids = try await snapshotIDs(of: runID).filter { tried.insert($0).inserted }
            if ids.isEmpty { throw loss }
            for id in ids {
                do { return (id, try await body(id)) } catch let error as WorkTransaction.SnapshotLost { loss = error }
            }
        }
    }
}

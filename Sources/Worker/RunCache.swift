import JobModel
import Ledger
import ObjectStore
import ProgramSettings
import Scripts
import Settings
import Warehouse

/// The runs and scripts that a worker has read from the ledger. What decides a job's bytes never changes during a run,
/// so each is read once; the id of the snapshot, which changes when its holder ends, is read again when it is lost.
actor RunCache {
    private var runs: [RunID: RunRecord] = [:]
    private var scripts: [RunID: [SegmentName: RunScript]] = [:]
    /// The last known ids of snapshots, for runs whose row holds another id.
    private var snapshotIDs: [RunID: String] = [:]

    /// Enough for the open runs of a few days, clients and repetitions.
    private static let maximumRuns = 16

    func run(_ runID: RunID, from ledger: Ledger) async throws -> RunRecord {
        if let run = runs[runID] { return run }
        guard let run = try await ledger.runs.run(runID) else { throw UnknownRun(runID: runID) }
        if runs.count >= Self.maximumRuns, let oldest = runs.keys.min() { forget(oldest) }
        runs[runID] = run
        return run
    }

    func script(of segment: SegmentName, in run: RunRecord, from ledger: Ledger) async throws -> RunScript {
        if let script = scripts[run.runID]?[segment] { return script }
        guard let script = try await ledger.runs.script(of: segment, in: run.runID) else {
            throw UnknownRun(runID: run.runID)
        }
        scripts[run.runID, default: [:]][segment] = script
        return script
    }

    /// Calls `body` with an id under which the run's snapshot exists. Throws `SnapshotLost` if no session holds it any
    /// more.
    func withSnapshot<Value: Sendable>(
        of run: RunRecord, from ledger: Ledger, _ body: @Sendable (_ snapshotID: String) async throws -> Value
    ) async throws -> Value {
        if let id = snapshotIDs[run.runID] ?? run.snapshotID {
            do { return try await body(id) } catch is WorkTransaction.SnapshotLost {}
        }
        // The holder has ended, most likely the coordinator: the ledger names the other sessions that hold the
        // snapshot.
        let (id, value) = try await ledger.snapshots.withSnapshot(of: run.runID, body)
        snapshotIDs[run.runID] = id
        return value
    }

    private func forget(_ runID: RunID) {
        runs[runID] = nil
        scripts[runID] = nil
        snapshotIDs[runID] = nil
    }
}

/// The ledger holds a job of a run without holding the run or the segment.
struct UnknownRun: Error, CustomStringConvertible {
    let runID: RunID

    var description: String { "the ledger holds no run \(runID) with this segment" }
}

/// The stores that runs write to, opened once each. The run's row names the store; credentials are the worker's own
/// setting.
actor StoreCache {
    private let environment: [String: String]
    private let connections: Int
    private let onRetry: @Sendable (ObjectStoreError, Duration) -> Void
    private var stores: [String: any ObjectStore] = [:]

    /// - Parameters:
    ///   - environment: the process environment, which holds the credentials.
    ///   - connections: the maximum number of simultaneous requests.
    ///   - onRetry: called for each failed try that is going to be repeated.
    init(
        environment: [String: String], connections: Int,
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void
    ) {
        self.environment = environment
        self.connections = connections
        self.onRetry = onRetry
    }

    func store(for output: String) throws -> any ObjectStore {
        if let store = stores[output] { return store }
        var reader = SettingsReader(
            environment: environment.merging([ObjectStoreSetting.output.name: output]) { _, new in new },
            catalogue: .programs)
        let configuration = ObjectStoreConfiguration(settings: &reader, environment: environment)
        try reader.finish()
        let store = try configuration.open(connections: connections, onRetry: onRetry)
        stores[output] = store
        return store
    }
}

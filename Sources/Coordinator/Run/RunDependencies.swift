import JobModel
import Ledger
import Logging
import ObjectStore
import Postgres
import Scripts

/// The request to run a date.
struct RunRequest: Sendable {
    var businessDate: BusinessDate
    var systems: [String]
    var partitions: Int
    /// Whether a complete date is run again.
    var isNew: Bool
}

/// The objects that the steps of a run share.
struct RunDependencies: Sendable {
    let settings: CoordinatorSettings
    let scripts: ScriptSet
    /// The session that holds the lock of the date.
    let ledger: Ledger
    let lock: DateLock
    let store: any ObjectStore
    /// The URI of the store, which workers read from the run's row.
    let outputURI: String
    let messages: RunMessages
    let bell: Bell
    let current: CurrentRun
    let snapshot: SnapshotHolder
    let metrics: RunMetrics
    let logger: Logger
    let showsProgress: Bool

    /// Host name and process id of this coordinator.
    let ownerName: String

    /// Opens a session for `body`. A takeover of the date by another coordinator ends this session together with the
    /// ledger's. A cancellation of the task cancels the running statement.
    func withSession<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresSession) async throws -> Value
    ) async throws -> Value {
        let session = try await PostgresSession.connect(settings.database, purpose: "coordinator")
        let result: Result<Value, any Error>
        do {
            try await lock.join(session)
            result = .success(
                try await withTaskCancellationHandler {
                    try await body(session)
                } onCancel: {
                    session.cancel()
                })
        } catch {
            result = .failure(error)
        }
        await session.close()
        return try result.get()
    }

    func metadata(_ run: RunRecord) -> Logger.Metadata {
        [.runID: "\(run.runID)", .businessDate: "\(run.businessDate)", .state: "\(run.state.rawValue)"]
    }
}

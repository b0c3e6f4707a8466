import JobModel
import Ledger
import Logging
import ObjectStore
import Postgres
import Scripts

/// What is to be run.
struct RunRequest: Sendable {
    var businessDate: BusinessDate
    var systems: [String]
    var partitions: Int
    /// Run a date again that is complete.
    var isNew: Bool
}

/// What the steps of a run work with.
struct RunDependencies: Sendable {
    let settings: CoordinatorSettings
    let scripts: ScriptSet
    /// The session that holds the lock of the date.
    let ledger: Ledger
    let lock: DateLock
    let store: any ObjectStore
    /// Where the store is, as workers find it in the run's row.
    let outputURI: String
    let messages: RunMessages
    let bell: Bell
    let current: CurrentRun
    let snapshot: SnapshotHolder
    let metrics: RunMetrics
    let logger: Logger
    let showsProgress: Bool

    /// Host and process of this coordinator.
    let ownerName: String

    /// Lends a session beside the ledger's, which ends with it when another coordinator takes the date over. A cancellation
    /// of the task ends the statement that it is running.
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

import JobModel
package import Postgres

/// One session on the ledger that commits every statement on its own. It connects at its first use and again after it
/// was lost or the server is read-only; the call that finds this out fails with a retryable `PostgresError`.
///
/// Calls from many tasks are serialized, so a call may wait for earlier ones. Calls that must not be delayed, such as
/// the renewal of leases, have a connection of their own. Each statement is cancelled after its limit, and waits for a
/// lock for at most `lockTimeout`; both errors are retryable.
///
/// The session's commits do not wait for the disk (`synchronous_commit = off`): a claim that is lost in a crash of the
/// server is simply ready again. A result is committed with a wait by the work's own session, and makes everything
/// before it durable too, because the log is written in order.
package actor LedgerConnection {
    private let configuration: PostgresConfiguration
    private let purpose: String
    private let statementLimit: Duration
    private let afterConnect: (@Sendable (PostgresSession) async throws -> Void)?
    private var session: PostgresSession?
    private var connecting: Task<PostgresSession, any Error>?

    /// The longest wait for one lock: shorter than a statement's limit, so that the error names the lock as the cause.
    static let lockTimeout = Duration.seconds(10)

    /// A connection that is opened at its first use.
    ///
    /// - Parameters:
    ///   - purpose: shown in `pg_stat_activity.application_name`.
    ///   - statementLimit: the default time limit of one call.
    ///   - afterConnect: runs on each new session before it is used, such as to take a lock that ends with the session.
    package init(
        _ configuration: PostgresConfiguration, purpose: String,
        statementLimit: Duration = PostgresSession.statementLimit,
        afterConnect: (@Sendable (PostgresSession) async throws -> Void)? = nil
    ) {
        self.configuration = configuration
        self.purpose = purpose
        self.statementLimit = statementLimit
        self.afterConnect = afterConnect
    }

    package func close() async {
        await session?.close()
        session = nil
    }

    /// The connected session. A worker's slot does its work on it, so that the claim names the process that works.
    package func connected() async throws -> PostgresSession {
        if let session, await session.isConnected { return session }
        if let connecting { return try await connecting.value }
        let task = Task { [configuration, purpose, afterConnect] in
            let session = try await PostgresSession.connect(configuration, purpose: purpose)
            do {
                try await session.execute(
                    "SET synchronous_commit = off; SET lock_timeout = '\(Self.lockTimeout.components.seconds)s'",
                    action: "set up the ledger's session")
                try await afterConnect?(session)
            } catch {
                await session.close()
                throw error
            }
            return session
        }
        connecting = task
        defer { connecting = nil }
        let new = try await task.value
        session = new
        return new
    }

    @discardableResult
    func query(
        _ sql: String, _ parameters: [String?] = [], within limit: Duration? = nil,
        action: String
    ) async throws -> PostgresResult {
        let session = try await connected()
        do {
            return try await session.query(sql, parameters, within: limit ?? statementLimit, action: action)
        } catch let error as PostgresError where error.sqlState == "25006" {
            // A session remains read-only; a new one may reach a server that accepts changes.
            await session.close()
            throw error
        }
    }

    /// Runs statements without parameters, such as a transaction of several statements.
    func execute(
        _ sql: String, within limit: Duration? = nil, action: String
    ) async throws {
        let session = try await connected()
        do {
            try await session.execute(sql, within: limit ?? statementLimit, action: action)
        } catch {
            // A transaction of several statements may be open.
            await session.close()
            throw error
        }
    }

    /// A statement about a run that raises BDA02 for a former owner, and BDA03 if the run was cancelled. Its first two
    /// parameters are the run's id and owner number.
    @discardableResult
    func owned(
        _ sql: String, by run: RunRecord, _ parameters: [String?] = [], action: String
    ) async throws -> PostgresResult {
        do {
            return try await query(sql, [run.runID.description, "\(run.ownerNumber)"] + parameters, action: action)
        } catch let error as PostgresError {
            throw run.ownershipError(error) ?? error
        }
    }
}

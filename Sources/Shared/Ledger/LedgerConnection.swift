package import Postgres

/// The ledger, schema `bda` in the warehouse: what is to be done, who does it, what is done.
///
/// One connection is one session that commits every statement on its own. It is connected at first use and again after it
/// was lost or the server takes no changes; the call that finds that out fails with a retryable `PostgresError`. Calls from
/// many tasks take turns.
///
/// The session's commits do not wait for the disk (`synchronous_commit = off`): a claim that a crash of the server takes
/// back is simply ready again, and a result, which is committed with a wait by the work's own session, makes everything
/// before it durable too, because the log is written in order.
package actor LedgerConnection {
    private let configuration: PostgresConfiguration
    private let purpose: String
    private let afterConnect: (@Sendable (PostgresSession) async throws -> Void)?
    private var session: PostgresSession?
    private var connecting: Task<PostgresSession, any Error>?

    /// A ledger that connects when it is first used.
    ///
    /// - Parameters:
    ///   - purpose: shows in `pg_stat_activity.application_name`.
    ///   - afterConnect: runs on each new session before it is used, such as to take a lock that ends with the session.
    package init(
        _ configuration: PostgresConfiguration, purpose: String,
        afterConnect: (@Sendable (PostgresSession) async throws -> Void)? = nil
    ) {
        self.configuration = configuration
        self.purpose = purpose
        self.afterConnect = afterConnect
    }

    /// Ends the session.
    package func close() async {
        await session?.close()
        session = nil
    }

    /// The session, connected.
    func connected() async throws -> PostgresSession {
        if let session, await session.isConnected { return session }
        if let connecting { return try await connecting.value }
        let task = Task { [configuration, purpose, afterConnect] in
            let session = try await PostgresSession.connect(configuration, purpose: purpose)
            try await session.execute("SET synchronous_commit = off", action: "set up the ledger's session")
            try await afterConnect?(session)
            return session
        }
        connecting = task
        defer { connecting = nil }
        let new = try await task.value
        session = new
        return new
    }

    @discardableResult
    func query(_ sql: String, _ parameters: [String?] = [], action: String) async throws -> PostgresResult {
        let session = try await connected()
        do {
            return try await session.query(sql, parameters, action: action)
        } catch let error as PostgresError where error.sqlState == "25006" {
            // A session stays read-only; another one may find the server, or its successor, take changes again.
            await session.close()
            throw error
        }
    }

    /// Runs statements without parameters: several of them, such as a transaction.
    func execute(_ sql: String, action: String) async throws {
        try await connected().execute(sql, action: action)
    }

    /// A statement that raises BDA02 for a former owner.
    @discardableResult
    func owned(_ sql: String, _ parameters: [String?], action: String) async throws -> PostgresResult {
        do {
            return try await query(sql, parameters, action: action)
        } catch let error as PostgresError where error.sqlState == "BDA02" {
            throw OwnershipLost()
        }
    }
}

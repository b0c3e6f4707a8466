import BlockingIO
import CLibPQ
import Settings
import Glibc

/// One connection to PostgreSQL: an actor on a thread of its own, where libpq's blocking calls run.
///
/// A session has one owner, which calls its methods one after the other; a transaction is that owner's business. After a
/// cancellation or a lost connection the owner closes the session and opens another.
///
/// Each call has a limit, by default `statementLimit`: a statement that takes longer is cancelled, and a connection on which
/// the cancellation brings no answer within `cancellationGrace` is closed. The limit nil is for a job's work, which takes as
/// long as its data: its owner has a limit of its own and calls `cancel()`; the grace then counts from there.
package actor PostgresSession {
    /// What identifies the server process of a session, also after its pid was given to another.
    package struct Backend: Sendable, Hashable {
        /// The process id.
        package let pid: Int
        /// `pg_stat_activity.backend_start`, as text.
        package let start: String

        /// A backend as it is written in the ledger.
        package init(pid: Int, start: String) {
            self.pid = pid
            self.start = start
        }
    }

    private let thread: BlockingThread
    private var connection: OpaquePointer?
    var copy: CopyState?
    let canceller = PostgresCanceller()
    let address: String
    private var knownBackend: Backend?

    /// How long a statement may take unless its caller says otherwise: far more than any statement on the ledger needs.
    package static let statementLimit = Duration.seconds(30)

    /// How long the server may take to answer after a statement was cancelled.
    static let cancellationGrace = Duration.seconds(5)

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Connects and pins the session's settings. The limit is `connectTimeoutSeconds` for each address of the host.
    ///
    /// - Parameters:
    ///   - configuration: where to.
    ///   - purpose: what the session is for; it shows in `pg_stat_activity.application_name` as `bda <purpose>`.
    package static func connect(
        _ configuration: PostgresConfiguration, purpose: String
    ) async throws -> PostgresSession {
        let session = PostgresSession(address: configuration.address, purpose: purpose)
        try await session.open(configuration, applicationName: "bda \(purpose)")
        return session
    }

    private init(address: String, purpose: String) {
        self.address = address
        thread = BlockingThread(name: "pg \(purpose)")
    }

    isolated deinit {
        copy = nil
        if let connection { PQfinish(connection) }
    }

    /// The server process. Its start is asked for once.
    package func backend() throws -> Backend {
        if let knownBackend { return knownBackend }
        let start = try execute(
            "SELECT backend_start::text FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()",
            action: "read the session's start"
        ).firstValue
        let backend = Backend(pid: Int(PQbackendPID(try live())), start: start ?? "")
        knownBackend = backend
        return backend
    }

    /// Whether the connection is usable, as far as libpq knows.
    package var isConnected: Bool { connection.map { PQstatus($0) == CONNECTION_OK } ?? false }

    /// Ends the session. Safe to call twice. It waits for no answer of the server: the connection does not block, so that
    /// the farewell is sent if the network takes it.
    package func close() {
        copy = nil
        canceller.clear()
        if let connection { PQfinish(connection) }
        connection = nil
    }

    /// Asks the server to end the running statement, from any thread, without waiting for it. The statement then fails with
    /// SQLSTATE 57014, or as a lost connection when the server does not answer; the owner closes the session, because a late
    /// cancellation would hit its next statement.
    package nonisolated func cancel() { canceller.request() }

    // MARK: Statements

    /// Runs one or more statements without parameters (the simple protocol) and returns the last one's result.
    ///
    /// - Parameter limit: for all of them together; nil is for a job's work, which its owner cancels.
    @discardableResult
    package func execute(
        _ sql: String, within limit: Duration? = statementLimit, action: String
    ) throws -> PostgresResult {
        try run(within: limit, action: action, copying: PostgresResult.init) { PQsendQuery($0, sql) }
    }

    /// Runs one statement with parameters `$1`, `$2`, … in text form; nil is NULL.
    @discardableResult
    package func query(
        _ sql: String, _ parameters: [String?], within limit: Duration? = statementLimit, action: String
    ) throws -> PostgresResult {
        try run(within: limit, action: action, copying: PostgresResult.init) { connection in
            withCStrings(parameters) { values in
                PQsendQueryParams(connection, sql, Int32(parameters.count), nil, values, nil, nil, 0)
            }
        }
    }

    /// The columns that a statement would return, as the server describes it; nothing is run.
    package func describe(
        _ sql: String, within limit: Duration? = statementLimit, action: String
    ) throws -> [PostgresColumn] {
        try run(within: limit, action: action, copying: { _ in }) { PQsendPrepare($0, "", sql, 0, nil) }
        let columns = try run(
            within: limit, action: action,
            copying: { result in
                (0..<PQnfields(result)).map {
                    (
                        name: String(cString: PQfname(result, $0)), type: PQftype(result, $0),
                        modifier: PQfmod(result, $0)
                    )
                }
            }, sending: { PQsendDescribePrepared($0, "") })
        if columns.isEmpty { return [] }
        let types = try query(
            """
            SELECT pg_catalog.format_type(t.type, t.modifier)
            FROM unnest($1::oid[], $2::int[]) WITH ORDINALITY AS t (type, modifier, position) ORDER BY t.position
            """,
            [
                "{" + columns.map { "\($0.type)" }.joined(separator: ",") + "}",
                "{" + columns.map { "\($0.modifier)" }.joined(separator: ",") + "}",
            ], action: "name the types of a result")
        return zip(columns, types.rows).map { PostgresColumn(name: $0.name, type: $1[0] ?? "") }
    }

    // MARK: Inside

    private func open(_ configuration: PostgresConfiguration, applicationName: String) throws {
        let action = "connect to PostgreSQL at \(configuration.address) as '\(configuration.user)'"
        let keywords: [(String, String)]
        do throws(SecretUnreadable) {
            keywords = try configuration.keywords(applicationName: applicationName)
        } catch {
            // Retryable: the file is missing for a moment while it is rotated.
            throw PostgresError(
                sqlState: nil, message: error.description, hint: error.hint, action: action, isConnectionLost: true)
        }
        let opened = withCStrings(keywords.map(\.0)) { names in
            withCStrings(keywords.map(\.1)) { values in PQconnectdbParams(names, values, 0) }
        }
        guard let opened else { throw PostgresError.fromConnection(nil, action: action) }
        connection = opened
        guard PQstatus(opened) == CONNECTION_OK else {
            let error = PostgresError.refusedConnection(opened, action: action)
            close()
            throw error
        }
        // With a connection that blocks, sending could wait for a peer that takes nothing, and closing as well.
        PQsetnonblocking(opened, 1)
        canceller.set(PQgetCancel(opened))
        do {
            let pid = try execute(
                PostgresConfiguration.pinnedSession, within: .seconds(configuration.connectTimeoutSeconds),
                action: "set up the session at \(address)"
            ).firstValue
            // A pooler makes up a pid of its own.
            guard pid == "\(PQbackendPID(opened))" else { throw ConnectionPooler(address: address) }
        } catch {
            close()
            throw error
        }
    }

    /// The connection, or the error that there is none.
    func live() throws -> OpaquePointer {
        guard let connection, PQstatus(connection) == CONNECTION_OK else {
            throw PostgresError(
                sqlState: nil, message: "the session is closed", action: "use the session at \(address)",
                isConnectionLost: true)
        }
        return connection
    }
}

/// Lends the texts as a null-terminated array of C strings.
private func withCStrings<Result>(
    _ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let copies = texts.map { text in text.map { strdup($0) } }
    defer { copies.forEach { if let copy = $0 { free(copy) } } }
    let pointers = copies.map { $0.map { UnsafePointer($0!) } } + [nil]
    return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}

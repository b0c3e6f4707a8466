import BlockingIO
import CLibPQ
import Settings
import Glibc

/// One connection to PostgreSQL: an actor on a thread of its own, where libpq's blocking calls run.
///
/// A session has one owner, which calls its methods one after the other and is responsible for its transactions. After
/// a cancellation or a lost connection the owner closes the session and opens another.
///
/// Each call has a limit, by default `statementLimit`: a statement that takes longer is cancelled, and a connection on
/// which the cancellation brings no answer within `cancellationGrace` is closed. The limit nil is for a job's work,
/// whose duration depends on its data: its owner has a limit of its own and calls `cancel()`; the grace then counts
/// from there.
package actor PostgresSession {
    /// The server process of a session, distinct also after its pid was given to another process.
    package struct Backend: Sendable, Hashable {
        package let pid: Int
        /// `pg_stat_activity.backend_start`, as text.
        package let start: String

        /// A backend as recorded in the ledger.
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

    /// The default limit of a statement: far more than any statement on the ledger needs.
    package static let statementLimit = Duration.seconds(30)

    /// The time in which the server must answer after a statement was cancelled.
    static let cancellationGrace = Duration.seconds(5)

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Connects and pins the session's settings. The limit is `connectTimeoutSeconds` for each address of the host.
    ///
    /// - Parameters:
    ///   - configuration: the server and the login.
    ///   - purpose: shown in `pg_stat_activity.application_name` as `bda <purpose>`.
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

    /// The server process. Its start is queried once.
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

    /// Whether the connection is usable, according to libpq.
    package var isConnected: Bool { connection.map { PQstatus($0) == CONNECTION_OK } ?? false }

    /// Ends the session. May be called twice. It does not wait for the server: the connection is non-blocking, so the
    /// termination message is sent if the network accepts it.
    package func close() {
        copy = nil
        canceller.clear()
        if let connection { PQfinish(connection) }
        connection = nil
    }

    /// Requests that the server ends the running statement, from any thread, without waiting. The statement then fails
    /// with SQLSTATE 57014, or as a lost connection if the server does not answer; the owner closes the session,
    /// because a late cancellation would hit its next statement.
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

    /// The columns that a statement would return, as the server describes them; the statement is not run.
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
            // Retryable: the file is missing for a moment while the password is rotated.
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
        // On a blocking connection, sending and closing could wait for a server that reads nothing.
        PQsetnonblocking(opened, 1)
        canceller.set(PQgetCancel(opened))
        do {
            let pid = try execute(
                PostgresConfiguration.pinnedSession, within: .seconds(configuration.connectTimeoutSeconds),
                action: "set up the session at \(address)"
            ).firstValue
            // A pooler invents a pid.
            guard pid == "\(PQbackendPID(opened))" else { throw ConnectionPooler(address: address) }
        } catch {
            close()
            throw error
        }
    }

    /// The connection. Throws if the session is closed.
    func live() throws -> OpaquePointer {
        guard let connection, PQstatus(connection) == CONNECTION_OK else {
            throw PostgresError(
                sqlState: nil, message: "the session is closed", action: "use the session at \(address)",
                isConnectionLost: true)
        }
        return connection
    }
}

/// Provides the texts as a null-terminated array of C strings.
private func withCStrings<Result>(
    _ texts: [String?], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let copies = texts.map { text in text.map { strdup($0) } }
    defer { copies.forEach { if let copy = $0 { free(copy) } } }
    let pointers = copies.map { $0.map { UnsafePointer($0!) } } + [nil]
    return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}

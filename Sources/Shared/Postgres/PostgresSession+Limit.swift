import CLibPQ
import Glibc
import Timing

extension PostgresSession {
    /// Sends a command, waits for its results within the limit and returns what `copying` makes of the last one. Throws the
    /// first failure among the results.
    func run<Value>(
        within limit: Duration?, action: String, copying: (OpaquePointer) -> Value,
        sending: (OpaquePointer) -> Int32
    ) throws -> Value {
        let connection = try live()
        var (last, failed): (OpaquePointer?, OpaquePointer?)
        defer {
            PQclear(last)
            PQclear(failed)
        }
        canceller.beginStatement()
        guard sending(connection) == 1 else { throw PostgresError.fromConnection(connection, action: action) }
        let isClean = try results(of: connection, within: limit, action: action) { result in
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                PQclear(last)
                last = result
            case _ where failed == nil: failed = result
            default: PQclear(result)
            }
            return true
        }
        defer { if !isClean { close() } }
        if let failed { throw PostgresError.fromResult(failed, of: connection, action: action) }
        guard let last else { throw PostgresError.fromConnection(connection, action: action) }
        return copying(last)
    }

    /// Passes the results of the running command to `receive`, which frees them, until there are no more or it returns
    /// false. Returns false if the limit passed and the command nevertheless ended by itself: the cancellation may then
    /// still be on its way, and would hit the next statement.
    func results(
        of connection: OpaquePointer, within limit: Duration?, action: String, receive: (OpaquePointer) -> Bool
    ) throws -> Bool {
        var deadline = limit.map { Deadline.after($0) }
        var (isOverdue, wasCancelled) = (false, false)
        while true {
            while !wait(for: connection, until: deadline) {
                if isOverdue || limit == nil { throw silence(after: limit, action: action) }
                isOverdue = true
                canceller.request()
                deadline = .after(Self.cancellationGrace)
            }
            guard let result = PQgetResult(connection) else { break }
            if let state = PQresultErrorField(result, PostgresError.sqlStateField), String(cString: state) == "57014" {
                wasCancelled = true
            }
            if !receive(result) { break }
        }
        guard isOverdue, let limit else { return true }
        guard wasCancelled else { return false }
        throw PostgresError(
            sqlState: "57014", message: "the statement exceeded its limit of \(limit) and was cancelled",
            hint: "see pg_stat_activity and pg_locks for what the statement waits for",
            action: "\(action) at \(address)")
    }

    /// Waits until the next result can be taken without blocking, or the connection is broken, which taking the result
    /// then reports. Returns false after the deadline or, without a deadline, after the grace that follows the owner's
    /// cancellation.
    private func wait(for connection: OpaquePointer, until deadline: Deadline?) -> Bool {
        while true {
            let flushed = PQflush(connection)
            if flushed < 0 || (flushed == 0 && PQisBusy(connection) == 0) { return true }
            if deadline?.hasPassed ?? isCancellationOverdue { return false }
            // Without a deadline the wait is short, so that a cancellation is noticed.
            let milliseconds = deadline?.remainingMilliseconds ?? 1000
            if !awaitInput(on: connection, isSending: flushed == 1, milliseconds: milliseconds) { return true }
        }
    }

    /// Whether the grace after a cancellation has passed without an answer.
    var isCancellationOverdue: Bool { canceller.requestedFor.map { $0 >= Self.cancellationGrace } ?? false }

    /// Waits for the socket and reads the available bytes. Returns false if the connection is broken.
    func awaitInput(on connection: OpaquePointer, isSending: Bool = false, milliseconds: Int32) -> Bool {
        let events = Int16(POLLIN) | (isSending ? Int16(POLLOUT) : 0)
        var socket = pollfd(fd: PQsocket(connection), events: events, revents: 0)
        let count = poll(&socket, 1, milliseconds)
        if count <= 0 { return count == 0 || errno == EINTR }
        guard PQconsumeInput(connection) == 1 else { return false }
        // libpq reads at least 8 KiB at once and a TLS record has at most 16: poll does not see the bytes that OpenSSL
        // holds.
        return PQsslInUse(connection) == 0 || PQconsumeInput(connection) == 1
    }

    /// The server did not answer, not even the cancellation. The connection is closed: its next answer would be to this
    /// command.
    func silence(after limit: Duration?, action: String) -> PostgresError {
        close()
        return PostgresError(
            sqlState: nil,
            message: (limit.map { "the server did not answer within \($0)" } ?? "the statement was cancelled")
                + ", nor to its cancellation within \(Self.cancellationGrace); the connection was closed",
            hint: "check the network to the server, and the load of the server",
            action: "\(action) at \(address)", isConnectionLost: true)
    }
}

package import Bytes
import CLibPQ
import Glibc

/// Receives each row of a COPY before it is stored, on the session's thread.
package protocol CopyRowObserver: AnyObject, Sendable {
    /// One data row as PostgreSQL writes it, with its line feed; valid during the call.
    func observe(row: UnsafeRawBufferPointer) throws
}

/// The state of a COPY after a buffer was filled.
package enum CopyProgress: Sendable, Hashable {
    /// The buffer is full; more bytes follow. The buffer may end in the middle of a row.
    case bufferFull
    /// The row limit of the file was reached, and at least one more row follows.
    case fileFull
    /// The server has confirmed the successful end.
    case finished(rows: Int)
}

/// The state of a running COPY. libpq returns one row at a time; bytes that did not fit a buffer wait here.
final class CopyState {
    let action: String
    let observer: any CopyRowObserver
    let maximumRowsPerFile: Int
    /// The header line, written at the beginning of each file.
    var header: [UInt8] = []
    var rowsInFile = 0
    var rows = 0
    private(set) var pending: UnsafeMutablePointer<CChar>?
    private(set) var pendingCount = 0
    private(set) var pendingOffset = 0

    init(action: String, observer: any CopyRowObserver, maximumRowsPerFile: Int) {
        self.action = action
        self.observer = observer
        self.maximumRowsPerFile = maximumRowsPerFile
    }

    deinit { PQfreemem(pending) }

    /// Keeps a row of libpq, of which `offset` bytes are used already.
    func keep(_ row: UnsafeMutablePointer<CChar>, count: Int, from offset: Int) {
        pending = row
        pendingCount = count
        pendingOffset = offset
    }

    /// Moves the rest of the kept row into `memory`; returns the number of bytes moved.
    func takePending(into memory: UnsafeMutableRawBufferPointer) -> Int {
        guard let row = pending else { return 0 }
        let count = min(pendingCount - pendingOffset, memory.count)
        if count > 0 { memory.baseAddress!.copyMemory(from: row + pendingOffset, byteCount: count) }
        pendingOffset += count
        if pendingOffset == pendingCount {
            PQfreemem(row)
            pending = nil
        }
        return count
    }
}

extension PostgresSession {
    /// Starts `COPY (query) TO STDOUT (FORMAT csv, HEADER)`. Read it with `readCopy(into:)` until it is finished; after an
    /// error the session is to be closed.
    ///
    /// - Parameters:
    ///   - query: one SELECT.
    ///   - maximumRowsPerFile: after that many rows a new file begins.
    ///   - observer: receives each data row once, in order.
    ///   - limit: until the server begins to answer. The rows have none: a query computes as long as it needs, and the
    ///     owner cancels it.
    package func beginCopy(
        of query: String, maximumRowsPerFile: Int, observer: any CopyRowObserver,
        within limit: Duration? = statementLimit, action: String
    ) throws {
        let connection = try live()
        canceller.beginStatement()
        guard PQsendQuery(connection, "COPY (\(query)\n) TO STDOUT (FORMAT csv, HEADER true)") == 1 else {
            throw PostgresError.fromConnection(connection, action: action)
        }
        var (hasBegun, failure): (Bool, PostgresError?) = (false, nil)
        _ = try results(of: connection, within: limit, action: action) { result in
            hasBegun = PQresultStatus(result) == PGRES_COPY_OUT
            if !hasBegun { failure = failure ?? .fromResult(result, of: connection, action: action) }
            PQclear(result)
            return !hasBegun
        }
        guard hasBegun else { throw failure ?? .fromConnection(connection, action: action) }
        copy = CopyState(action: action, observer: observer, maximumRowsPerFile: maximumRowsPerFile)
    }

    /// Fills the buffer with the next bytes. Each file begins with the header line; bytes of one file may span any
    /// number of buffers.
    ///
    /// The end of the data is not success: `finished` is returned only after the server's CommandComplete, with its count
    /// of rows (PostgreSQL, "COPY Operations": the result status must be checked after the last row).
    package func readCopy(into buffer: ByteBuffer) throws -> CopyProgress {
        let connection = try live()
        guard let state = copy else { preconditionFailure("readCopy without beginCopy") }
        var progress = CopyProgress.bufferFull
        try buffer.append { memory in
            var used = 0
            progress = try read(state, from: connection, into: memory, used: &used)
            return used
        }
        return progress
    }

    /// The row loop. It works on plain memory and local counters, because it runs for many millions of rows.
    private func read(
        _ state: CopyState, from connection: OpaquePointer, into memory: UnsafeMutableRawBufferPointer, used: inout Int
    ) throws -> CopyProgress {
        let (observer, limit) = (state.observer, state.maximumRowsPerFile)
        var (rows, rowsInFile) = (state.rows, state.rowsInFile)
        defer { (state.rows, state.rowsInFile) = (rows, rowsInFile) }
        if rowsInFile == 0, rows > 0, state.pendingOffset == 0, let row = state.pending {
            // A new file begins with the row that ended the last one.
            used += try writeHeader(state, into: memory)
            try observer.observe(row: UnsafeRawBufferPointer(start: row, count: state.pendingCount))
            rowsInFile = 1
            rows += 1
        }
        used += state.takePending(into: UnsafeMutableRawBufferPointer(rebasing: memory[used...]))
        var isBroken = false
        while used < memory.count {
            var raw: UnsafeMutablePointer<CChar>?
            // The blocking call reports the error of a broken connection at once; the non-blocking one does not.
            let count = Int(PQgetCopyData(connection, &raw, isBroken ? 0 : 1))
            if count == 0 {
                if isCancellationOverdue { throw silence(after: nil, action: state.action) }
                if !awaitInput(on: connection, milliseconds: 1000) { isBroken = true }
                continue
            }
            guard count > 0, let raw else {
                state.rows = rows
                return try finishCopy(connection, state, code: count)
            }
            if state.header.isEmpty {
                state.header = Array(UnsafeRawBufferPointer(start: raw, count: count))
                PQfreemem(raw)
                used += try writeHeader(state, into: memory)
                continue
            }
            if rowsInFile == limit {
                state.keep(raw, count: count, from: 0)
                rowsInFile = 0
                return .fileFull
            }
            do {
                try observer.observe(row: UnsafeRawBufferPointer(start: raw, count: count))
            } catch {
                PQfreemem(raw)
                throw error
            }
            rowsInFile += 1
            rows += 1
            let taken = min(count, memory.count - used)
            (memory.baseAddress! + used).copyMemory(from: raw, byteCount: taken)
            used += taken
            if taken < count {
                state.keep(raw, count: count, from: taken)
                return .bufferFull
            }
            PQfreemem(raw)
        }
        return .bufferFull
    }

    private func writeHeader(_ state: CopyState, into memory: UnsafeMutableRawBufferPointer) throws -> Int {
        guard state.header.count <= memory.count else { throw headerTooLong(state) }
        memory.copyBytes(from: state.header)
        return state.header.count
    }

    /// The number of data rows that the running COPY has delivered, for progress.
    package var copiedRows: Int { copy?.rows ?? 0 }

    private func finishCopy(_ connection: OpaquePointer, _ state: CopyState, code: Int) throws -> CopyProgress {
        copy = nil
        guard code == -1 else { throw PostgresError.fromConnection(connection, action: state.action) }
        var confirmedRows: Int?
        var failure: PostgresError?
        _ = try results(of: connection, within: Self.statementLimit, action: state.action) { result in
            if PQresultStatus(result) == PGRES_COMMAND_OK {
                confirmedRows = Int(String(cString: PQcmdTuples(result)))
            } else if failure == nil {
                failure = PostgresError.fromResult(result, of: connection, action: state.action)
            }
            PQclear(result)
            return true
        }
        if let failure { throw failure }
        guard let confirmedRows else { throw PostgresError.fromConnection(connection, action: state.action) }
        guard confirmedRows == state.rows else {
            throw PostgresError(
                sqlState: nil, message: "the server sent \(state.rows) rows and confirmed \(confirmedRows)",
                action: state.action)
        }
        return .finished(rows: confirmedRows)
    }

    private func headerTooLong(_ state: CopyState) -> PostgresError {
        PostgresError(
            sqlState: nil, message: "the header line of \(state.header.count) bytes does not fit the buffer",
            hint: "raise BDA_UPLOAD_PART_BYTES", action: state.action)
    }
}

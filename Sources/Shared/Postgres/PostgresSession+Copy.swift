public import Bytes
import CLibPQ
import Glibc

/// Sees each row of a COPY before it is stored, on the session's thread.
public protocol CopyRowObserver: AnyObject, Sendable {
    /// One data row as PostgreSQL writes it, with its line feed; valid during the call.
    func observe(row: UnsafeRawBufferPointer) throws
}

/// Where a COPY stands after a buffer was filled.
public enum CopyProgress: Sendable, Hashable {
    /// The buffer is full; rows follow, perhaps in the middle of one.
    case bufferFull
    /// The row limit of the file was reached, and at least one more row follows.
    case fileFull
    /// The server has confirmed the end, and that it was a success.
    case finished(rows: Int)
}

/// The state of a running COPY. libpq hands out one row at a time; what did not fit a buffer waits here.
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

    /// Keeps a row of libpq's, of which `offset` bytes are used already.
    func keep(_ row: UnsafeMutablePointer<CChar>, count: Int, from offset: Int) {
        pending = row
        pendingCount = count
        pendingOffset = offset
    }

    /// Moves what is left of the kept row into the buffer; false when some of it did not fit.
    func flushPending(into buffer: ByteBuffer) -> Bool {
        guard let row = pending else { return true }
        let rest = UnsafeRawBufferPointer(start: row + pendingOffset, count: pendingCount - pendingOffset)
        pendingOffset += buffer.append(rest)
        guard pendingOffset == pendingCount else { return false }
        PQfreemem(row)
        pending = nil
        return true
    }
}

extension PostgresSession {
    /// Starts `COPY (query) TO STDOUT (FORMAT csv, HEADER)`. Read it with `readCopy(into:)` until it is finished; after an
    /// error the session is to be closed.
    ///
    /// - Parameters:
    ///   - query: one SELECT.
    ///   - maximumRowsPerFile: after that many rows a new file begins.
    ///   - observer: sees each data row once, in order.
    public func beginCopy(
        of query: String, maximumRowsPerFile: Int, observer: any CopyRowObserver, action: String
    ) throws {
        let connection = try live()
        let result = PQexec(connection, "COPY (\(query)\n) TO STDOUT (FORMAT csv, HEADER true)")
        try check(result, is: PGRES_COPY_OUT, action: action)
        copy = CopyState(action: action, observer: observer, maximumRowsPerFile: maximumRowsPerFile)
    }

    /// Fills the buffer with what comes next. Each file begins with the header line; bytes of one file may span any number
    /// of buffers.
    ///
    /// The end of the data is not success: `finished` is returned only after the server's CommandComplete, with its count
    /// of rows (PostgreSQL, "COPY Operations": the result status must be checked after the last row).
    public func readCopy(into buffer: ByteBuffer) throws -> CopyProgress {
        let connection = try live()
        guard let state = copy else { preconditionFailure("readCopy without beginCopy") }
        let observer = state.observer
        if state.rowsInFile == 0, state.rows > 0, state.pendingOffset == 0, let row = state.pending {
            // A new file begins with the row that ended the last one.
            guard buffer.append(state.header) else { throw headerTooLong(state) }
            try observer.observe(row: UnsafeRawBufferPointer(start: row, count: state.pendingCount))
            state.rowsInFile = 1
            state.rows += 1
        }
        guard state.flushPending(into: buffer) else { return .bufferFull }
        while buffer.free > 0 {
            var raw: UnsafeMutablePointer<CChar>?
            let count = Int(PQgetCopyData(connection, &raw, 0))
            guard count > 0, let raw else { return try finishCopy(connection, state, code: count) }
            let row = UnsafeRawBufferPointer(start: raw, count: count)
            if state.header.isEmpty {
                state.header = Array(row)
                PQfreemem(raw)
                guard buffer.append(state.header) else { throw headerTooLong(state) }
                continue
            }
            if state.rowsInFile == state.maximumRowsPerFile {
                state.keep(raw, count: count, from: 0)
                state.rowsInFile = 0
                return .fileFull
            }
            do {
                try observer.observe(row: row)
            } catch {
                PQfreemem(raw)
                throw error
            }
            state.rowsInFile += 1
            state.rows += 1
            let taken = buffer.append(row)
            if taken < count {
                state.keep(raw, count: count, from: taken)
                return .bufferFull
            }
            PQfreemem(raw)
        }
        return .bufferFull
    }

    /// How many data rows the running COPY has delivered, for progress.
    public var copiedRows: Int { copy?.rows ?? 0 }

    private func finishCopy(_ connection: OpaquePointer, _ state: CopyState, code: Int) throws -> CopyProgress {
        copy = nil
        guard code == -1 else { throw PostgresError.fromConnection(connection, action: state.action) }
        var confirmedRows: Int?
        var failure: PostgresError?
        while let result = PQgetResult(connection) {
            if PQresultStatus(result) == PGRES_COMMAND_OK {
                confirmedRows = Int(String(cString: PQcmdTuples(result)))
            } else if failure == nil {
                failure = PostgresError.fromResult(result, of: connection, action: state.action)
            }
            PQclear(result)
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

extension ByteBuffer {
    fileprivate func append(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { append($0) } == bytes.count
    }
}

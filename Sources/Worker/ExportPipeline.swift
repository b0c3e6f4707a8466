import Bytes
import JobModel
import Ledger
import ObjectStore
import Postgres

/// The path of the rows: COPY -> buffer -> (compression) -> SHA-256 -> store.
///
/// The next buffer is read while the previous one is hashed and sent, and never further ahead. Memory is two buffers
/// (three with compression), whatever the table's size.
struct ExportPipeline {
    let session: PostgresSession
    let store: any ObjectStore
    let run: RunRecord
    let jobID: JobID
    let progress: RowProgress

    struct Output {
        var parts: [PartRecord]
        var rows: Int
        var totals: [ControlTotal]
    }

    /// Runs the query and returns when all its files are in the store. No file is completed before the server has
    /// confirmed the end of the COPY. After an error no file remains, and the session is to be closed.
    func export(query: String, columns: [DatasetColumn], segment: Segment) async throws -> Output {
        let counter = try ControlTotalCounter(
            columns: columns.map(\.name), totals: segment.totals, currency: segment.totalsBy,
            progress: progress)
        var files: [PartFile] = []
        do {
            try await session.beginCopy(
                of: query, maximumRowsPerFile: run.rowsPerPart, observer: counter, within: nil,
                action: "export \(segment.name)")
            var filling = ByteBuffer(capacity: run.uploadPieceBytes)
            var sending = ByteBuffer(capacity: run.uploadPieceBytes)
            var rowsBefore = 0
            files.append(try await PartFile(number: 1, of: self))
            var state = try await session.readCopy(into: filling)
            while true {
                swap(&filling, &sending)
                filling.removeAll()
                let file = files[files.count - 1]
                if case .finished(let rows) = state {
                    var parts: [PartRecord] = []
                    for full in files.dropLast() { parts.append(try await full.finish()) }
                    parts.append(try await file.finish(with: sending, rows: rows - rowsBefore))
                    return Output(parts: parts, rows: rows, totals: try counter.totals)
                }
                let rowsRead = await session.copiedRows
                let (full, endsFile, rowsInFile) = (sending, state == .fileFull, rowsRead - rowsBefore)
                async let sent: Void = file.write(full, endsFile: endsFile, rows: rowsInFile)
                state = try await session.readCopy(into: filling)
                try await sent
                if endsFile {
                    rowsBefore = rowsRead
                    files.append(try await PartFile(number: files.count + 1, of: self))
                }
            }
        } catch {
            for file in files { await file.abort() }
            throw error
        }
    }
}

/// One CSV file on its way into the store. Its pieces are sent as they fill; `finish` completes it after the COPY was
/// confirmed.
actor PartFile {
    private let number: Int
    private let key: String
    private let upload: any ObjectUpload
    private var compressor: Compressor?
    /// Compressed bytes that do not yet fill a piece of the upload.
    private let compressed: ByteBuffer?
    private var hash = SHA256()
    private var bytes = 0
    private var rows = 0
    private var uploadedParts = 0

    init(number: Int, of pipeline: ExportPipeline) async throws {
        let run = pipeline.run
        self.number = number
        key = run.layout.part(
            of: pipeline.jobID.segment, partition: pipeline.jobID.partition, number: number,
            compression: run.compression)
        if let format = CompressionFormat(rawValue: run.compression.rawValue) {
            compressor = try Compressor(format, level: run.compressionLevel)
            compressed = ByteBuffer(capacity: run.uploadPieceBytes)
        } else {
            compressor = nil
            compressed = nil
        }
        upload = try await pipeline.store.beginUpload(
            key, pieceBytes: run.uploadPieceBytes, options: WriteOptions(contentType: Self.contentType(run.compression))
        )
    }

    /// Takes the bytes of a full buffer, or the last bytes of a full file; the buffer can be used again afterwards.
    /// `rows` is the file's count so far.
    func write(_ buffer: ByteBuffer, endsFile: Bool, rows: Int) async throws {
        self.rows = rows
        guard let compressed else { return try await send(buffer) }
        try await compress(buffer, into: compressed)
        if endsFile {
            try await endCompression(into: compressed)
            try await send(compressed)
        }
    }

    /// Completes a file whose bytes were all written.
    func finish() async throws -> PartRecord { try await complete(last: nil) }

    /// Completes a file with its last bytes.
    func finish(with buffer: ByteBuffer, rows: Int) async throws -> PartRecord {
        self.rows = rows
        guard let compressed else { return try await complete(last: buffer) }
        try await compress(buffer, into: compressed)
        try await endCompression(into: compressed)
        return try await complete(last: compressed)
    }

    /// Removes the pieces that were sent. An upload that cannot be removed now is removed by `clean`.
    func abort() async { try? await upload.abort() }

    private func compress(_ buffer: ByteBuffer, into compressed: ByteBuffer) async throws {
        var rest = buffer.bytes
        while !rest.isEmpty {
            let taken = try compressor!.compress(rest, into: compressed)
            rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
            if compressed.free == 0 {
                try await send(compressed)
                compressed.removeAll()
            }
        }
    }

    private func endCompression(into compressed: ByteBuffer) async throws {
        while try !compressor!.finish(into: compressed) {
            try await send(compressed)
            compressed.removeAll()
        }
    }

    private func send(_ buffer: ByteBuffer) async throws {
        guard buffer.count > 0 else { return }
        hash.update(buffer.bytes)
        bytes += buffer.count
        uploadedParts += 1
        try await upload.write(buffer, number: uploadedParts)
    }

    private func complete(last buffer: ByteBuffer?) async throws -> PartRecord {
        if let buffer {
            hash.update(buffer.bytes)
            bytes += buffer.count
        }
        let digest = hash.digest()
        _ = try await upload.finish(last: buffer, size: bytes, sha256: digest)
        return PartRecord(partNo: number, key: key, rows: rows, bytes: bytes, sha256: digest.hex)
    }

    private static func contentType(_ compression: Compression) -> String {
        switch compression {
        case .none: "text/csv; charset=utf-8; header=present"
        case .gzip: "application/gzip"
        case .zstd: "application/zstd"
        }
    }
}

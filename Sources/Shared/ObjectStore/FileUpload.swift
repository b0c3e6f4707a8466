import BlockingIO
import Bytes

/// An upload to a file, on a thread of its own: pieces are written directly from the caller's buffer.
actor FileUpload: ObjectUpload {
    private let thread = BlockingThread(name: "bda-file")
    private let store: FileObjectStore
    private let root: String
    private let key: String
    private let path: String
    private let pieceBytes: Int
    private let options: WriteOptions
    private var file: TemporaryFile?
    private var pieces: Set<Int> = []
    private var bytesWritten = 0
    /// The number of a piece with fewer bytes: it must be the last.
    private var shortPiece: Int?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(store: FileObjectStore, root: String, key: String, path: String, pieceBytes: Int, options: WriteOptions) {
        self.store = store
        self.root = root
        self.key = key
        self.path = path
        self.pieceBytes = pieceBytes
        self.options = options
    }

    func write(_ piece: ByteBuffer, number: Int) throws {
        precondition(
            piece.count == pieceBytes || (1..<pieceBytes).contains(piece.count) && shortPiece == nil,
            "all pieces but the last have \(pieceBytes) bytes, not \(piece.count)")
        if piece.count < pieceBytes { shortPiece = number }
        precondition(number > 0)
        try Task.checkCancellation()
        try open().write(piece.bytes, at: (number - 1) * pieceBytes)
        pieces.insert(number)
        bytesWritten += piece.count
    }

    func finish(last: ByteBuffer?, size: Int, sha256: Digest) throws -> ObjectInfo {
        try Task.checkCancellation()
        let lastBytes = last?.count ?? 0
        precondition(lastBytes <= pieceBytes, "the last piece has at most \(pieceBytes) bytes, not \(lastBytes)")
        precondition(shortPiece == nil || shortPiece == pieces.count && lastBytes == 0, "bytes follow a short piece")
        let sent = bytesWritten + lastBytes
        guard sent == size else { throw mismatch("\(size) bytes were counted, \(sent) were given to the store") }
        if let missing = (1..<pieces.count + 1).first(where: { !pieces.contains($0) }) {
            throw mismatch("piece \(missing) was not written")
        }
        if pieces.isEmpty, SHA256.hash(last?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)) != sha256 {
            throw mismatch("the bytes given have another SHA-256 than was counted")
        }
        let file = try open()
        if let last, lastBytes > 0 { try file.write(last.bytes, at: pieces.count * pieceBytes) }
        let written = try file.status().size
        guard written == size else { throw mismatch("\(size) bytes were sent, the file has \(written)") }
        return try store.publish(file, key, sha256: sha256, condition: options.condition)
    }

    func abort() throws {
        try file?.remove()
        file = nil
    }

    private func open() throws -> TemporaryFile {
        if let file { return file }
        let opened = try TemporaryFile(root: root, path: path, "upload", store.uri(forKey: key))
        file = opened
        return opened
    }

    private func mismatch(_ reason: String) -> ObjectStoreError {
        ObjectStoreError(.integrity, "upload", store.uri(forKey: key), reason: reason)
    }
}

import BlockingIO
import Bytes

/// A large object on its way to a file, on a thread of its own: parts go straight from the caller's buffer to the file.
actor FileUpload: ObjectUpload {
    private let thread = BlockingThread(name: "bda-file")
    private let store: FileObjectStore
    private let root: String
    private let key: String
    private let path: String
    private let partBytes: Int
    private let options: WriteOptions
    private var file: TemporaryFile?
    private var parts: Set<Int> = []
    private var bytesWritten = 0
    /// The number of a part that was written with fewer bytes: it must be the last.
    private var shortPart: Int?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(store: FileObjectStore, root: String, key: String, path: String, partBytes: Int, options: WriteOptions) {
        self.store = store
        self.root = root
        self.key = key
        self.path = path
        self.partBytes = partBytes
        self.options = options
    }

    func write(_ part: ByteBuffer, number: Int) throws {
        precondition(
            part.count == partBytes || (1..<partBytes).contains(part.count) && shortPart == nil,
            "all parts but the last have \(partBytes) bytes, not \(part.count)")
        if part.count < partBytes { shortPart = number }
        precondition(number > 0)
        try Task.checkCancellation()
        try open().write(part.bytes, at: (number - 1) * partBytes)
        parts.insert(number)
        bytesWritten += part.count
    }

    func finish(last: ByteBuffer?, size: Int, sha256: Digest) throws -> ObjectInfo {
        try Task.checkCancellation()
        let lastBytes = last?.count ?? 0
        precondition(lastBytes <= partBytes, "the last part has at most \(partBytes) bytes, not \(lastBytes)")
        precondition(shortPart == nil || shortPart == parts.count && lastBytes == 0, "bytes follow a short part")
        let sent = bytesWritten + lastBytes
        guard sent == size else { throw mismatch("\(size) bytes were counted, \(sent) were given to the store") }
        if let missing = (1..<parts.count + 1).first(where: { !parts.contains($0) }) {
            throw mismatch("part \(missing) was not written")
        }
        if parts.isEmpty, SHA256.hash(last?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)) != sha256 {
            throw mismatch("the bytes given have another SHA-256 than was counted")
        }
        let file = try open()
        if let last, lastBytes > 0 { try file.write(last.bytes, at: parts.count * partBytes) }
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

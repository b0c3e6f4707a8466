import BlockingIO
import Bytes
import Foundation

/// A directory as an object store: a key is a path below it.
///
/// - A write goes to a hidden temporary file in the same directory, is synced, and then gets its name by `rename`, so that a
///   reader sees the old file or the new one; the directory is synced too, so that a finished write survives a power cut.
/// - Every operation that makes a file appear or disappear takes one lock file (`flock`) at the top of the directory, so
///   that conditions hold between processes. It is held for a few system calls, never while data are written.
/// - The ETag is made of the file's inode, size and time of change. The SHA-256 is not stored: a stored digest would describe
///   the intended bytes, not those on the disk, and reading a local file is fast. So `head` returns none, and
///   `sha256(of:using:)` reads the file.
/// - Files of killed writers remain under hidden names, which `pendingUploads` finds.
struct FileObjectStore: ObjectStore {
    /// The prefix of hidden names: `list` leaves them out, and no key may have them.
    static let hiddenPrefix = ".bda-"
    static let uploadPrefix = ".bda-upload-"

    private let root: String
    private let keySpace: ObjectKeySpace
    /// For all operations except the data of uploads, which have threads of their own.
    private let queue = BlockingQueue(name: "bda-files")

    /// A store in the directory with this absolute path, which must exist at its first use.
    init(directory: String) throws(ObjectStoreError) {
        guard directory.hasPrefix("/"), !directory.utf8.contains(0) else {
            throw ObjectStoreError(
                .invalidKey, "open", directory, reason: "it is not an absolute path",
                hint: "set BDA_OUTPUT to file:///directory")
        }
        root = directory.pathComponents.map { "/" + $0 }.joined()
        do throws(InvalidKey) {
            keySpace = try ObjectKeySpace(prefix: "")
        } catch {
            preconditionFailure("an empty prefix is always right")
        }
    }

    func uri(forKey key: String) -> String {
        Self.place(root) + PercentEncoding.encode(key, keeping: Self.pathCharacters)
    }

    func key(forURI uri: String) -> String? {
        uri.after(Self.place(root)).flatMap { PercentEncoding.decode($0) }.flatMap { keySpace.key(ofFull: $0) }
    }

    /// The characters of a path that are not encoded, besides the unreserved ones (RFC 3986).
    private static let pathCharacters = "/!$&'()*+,;=:@"

    private static func place(_ root: String) -> String {
        "file://\(PercentEncoding.encode(root, keeping: pathCharacters))/"
    }

    func check() async throws {
        try await run {
            let subject = Self.place(root)
            let status = try File.status(root.isEmpty ? "/" : root, "reach", subject)
            guard let status, status.isDirectory else {
                throw ObjectStoreError(
                    .noSuchPlace, "reach", subject, reason: "there is no such directory",
                    hint: "create it, or correct BDA_OUTPUT")
            }
            try withLock("reach", subject) {}
        }
    }

    // MARK: whole objects

    func put(_ key: String, bytes: ByteBuffer, options: WriteOptions) async throws -> ObjectInfo {
        let path = try path(key, "put")
        return try await run {
            let file = try TemporaryFile(root: root, path: path, "put", uri(forKey: key))
            do {
                try file.write(bytes.bytes, at: 0)
                return try publish(file, key, sha256: SHA256.hash(bytes.bytes), condition: options.condition)
            } catch {
                try file.remove()
                throw error
            }
        }
    }

    func head(_ key: String) async throws -> ObjectInfo? {
        let path = try path(key, "head")
        return try await run { try info(key, path, "head") }
    }

    func get(_ key: String, limit: Int) async throws -> StoredObject? {
        let path = try path(key, "get")
        return try await run {
            guard let file = try File(reading: path, "get", uri(forKey: key)) else { return nil }
            let status = try file.status()
            guard status.isFile else { return nil }
            guard status.size <= limit else {
                throw ObjectStoreError(.tooLarge, "get", uri(forKey: key), reason: "it has more than \(limit) bytes")
            }
            let buffer = ByteBuffer(capacity: status.size)
            try file.read(at: 0, into: buffer)
            guard buffer.count == status.size else {
                throw ObjectStoreError(
                    .integrity, "get", uri(forKey: key), reason: "the file got shorter while it was read")
            }
            return StoredObject(bytes: Array(buffer.bytes), info: status.info(key))
        }
    }

    func read(_ object: ObjectInfo, at offset: Int, into buffer: ByteBuffer) async throws {
        precondition(offset >= 0)
        let path = try path(object.key, "read")
        try await run {
            let subject = uri(forKey: object.key)
            guard let file = try File(reading: path, "read", subject),
                try file.status().info(object.key).etag == object.etag
            else {
                throw ObjectStoreError(.preconditionFailed, "read", subject, reason: "the file was replaced or deleted")
            }
            buffer.removeAll()
            try file.read(at: offset, into: buffer)
        }
    }

    func delete(_ key: String) async throws {
        let path = try path(key, "delete")
        try await run {
            try withLock("delete", uri(forKey: key)) {
                try File.remove(path, "delete", uri(forKey: key))
            }
            removeEmptyDirectories(above: path)
        }
    }

    func list(prefix: String) async throws -> [ObjectInfo] {
        try await run {
            var objects: [ObjectInfo] = []
            try walk(prefix, "list", hidden: false) { key, path, _ in
                if let info = try info(key, path, "list") { objects.append(info) }
            }
            return objects.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        }
    }

    // MARK: uploads

    func beginUpload(_ key: String, pieceBytes: Int, options: WriteOptions) async throws -> any ObjectUpload {
        precondition(pieceBytes > 0)
        return FileUpload(
            store: self, root: root, key: key, path: try path(key, "upload"), pieceBytes: pieceBytes, options: options)
    }

    func pendingUploads(prefix: String) async throws -> [PendingUpload] {
        try await run {
            var uploads: [PendingUpload] = []
            // A hidden name replaces the key's last component.
            try walk(prefix, "list uploads under", hidden: true) { hidden, path, name in
                guard let target = TemporaryFile.target(ofHidden: name) else { return }
                let key = String(decoding: hidden.utf8.dropLast(name.utf8.count), as: UTF8.self) + target
                guard key.utf8.starts(with: prefix.utf8) else { return }
                guard let status = try File.status(path, "list uploads under", uri(forKey: prefix)) else { return }
                uploads.append(PendingUpload(key: key, id: name, startedAt: status.changedAt))
            }
            return uploads.sorted { ($0.key, $0.id) < ($1.key, $1.id) }
        }
    }

    func abort(_ upload: PendingUpload) async throws {
        let path = try path(upload.key, "abort")
        let subject = uri(forKey: upload.key)
        guard TemporaryFile.target(ofHidden: upload.id) != nil, !upload.id.utf8.contains(UInt8(ascii: "/")) else {
            throw ObjectStoreError(.invalidKey, "abort", subject, reason: "'\(upload.id)' is no upload's name")
        }
        try await run {
            try File.remove(File.directory(of: path) + "/" + upload.id, "abort", subject)
            removeEmptyDirectories(above: path)
        }
    }

    /// Syncs a written file and gives it its name, if the condition holds; an existing file of the same content counts
    /// as written.
    func publish(
        _ file: TemporaryFile, _ key: String, sha256: Digest, condition: WriteCondition
    ) throws -> ObjectInfo {
        let subject = uri(forKey: key)
        try file.sync()
        let written = try file.status()
        let refusal: String? = try withLock(file.operation, subject) {
            switch condition {
            case .none:
                break
            case .ifAbsent:
                if try info(key, file.path, file.operation) != nil { return "the key is taken by other content" }
            case .ifMatch(let etag):
                if try info(key, file.path, file.operation)?.etag != etag { return "the file was replaced or deleted" }
            }
            try file.rename()
            return nil
        }
        if let refusal {
            guard let same = try existing(key, file.path, size: written.size, sha256: sha256) else {
                throw ObjectStoreError(.preconditionFailed, file.operation, subject, reason: refusal)
            }
            try file.remove()
            return same
        }
        try file.syncDirectories()
        return ObjectInfo(key: key, size: written.size, etag: written.info(key).etag, sha256: sha256)
    }

    private func existing(
        _ key: String, _ path: String, size: Int, sha256: Digest
    ) throws(ObjectStoreError) -> ObjectInfo? {
        guard let file = try File(reading: path, "read", uri(forKey: key)) else { return nil }
        let status = try file.status()
        guard status.isFile, status.size == size else { return nil }
        var hash = SHA256()
        let buffer = ByteBuffer(capacity: 1024 * 1024)
        var offset = 0
        repeat {
            buffer.removeAll()
            try file.read(at: offset, into: buffer)
            hash.update(buffer.bytes)
            offset += buffer.count
        } while buffer.count > 0
        guard hash.digest() == sha256 else { return nil }
        return ObjectInfo(key: key, size: size, etag: status.info(key).etag, sha256: sha256)
    }

    private func info(_ key: String, _ path: String, _ operation: String) throws(ObjectStoreError) -> ObjectInfo? {
        guard let status = try File.status(path, operation, uri(forKey: key)), status.isFile else { return nil }
        return status.info(key)
    }

    // MARK: paths

    private func run<Value: Sendable>(_ body: @Sendable () throws -> Value) async throws -> Value {
        try Task.checkCancellation()
        return try await queue.run(body)
    }

    private func path(_ key: String, _ operation: String) throws(ObjectStoreError) -> String {
        do throws(InvalidKey) {
            _ = try keySpace.fullKey(key)
            if key.pathComponents.contains(where: { $0.after(Self.hiddenPrefix) != nil }) {
                throw InvalidKey(problem: "a component begins with \(Self.hiddenPrefix)")
            }
            let longest = TemporaryFile.longestName
            if key.pathComponents.contains(where: { $0.utf8.count > longest }) {
                throw InvalidKey(problem: "a component has more than \(longest) bytes")
            }
            return root + "/" + key
        } catch {
            throw ObjectStoreError(.invalidKey, operation, uri(forKey: key), reason: error.problem)
        }
    }

    /// Visits every file whose key begins with `prefix`, or every hidden file whose target key may begin with it.
    private func walk(
        _ prefix: String, _ operation: String, hidden: Bool,
        _ visit: (_ key: String, _ path: String, _ name: String) throws -> Void
    ) throws {
        do throws(InvalidKey) {
            _ = try keySpace.fullPrefix(prefix)
        } catch {
            throw ObjectStoreError(.invalidKey, operation, uri(forKey: prefix), reason: error.problem)
        }
        let directory = File.directory(of: prefix)
        var open = [directory.isEmpty ? "" : directory + "/"]
        while let directory = open.popLast() {
            for entry in try File.entries(root + "/" + directory, operation, uri(forKey: directory)) {
                let key = directory + entry.name
                if entry.isDirectory {
                    let below = key + "/"
                    if below.utf8.starts(with: prefix.utf8) || prefix.utf8.starts(with: below.utf8) {
                        open.append(below)
                    }
                } else if (entry.name.after(Self.hiddenPrefix) != nil) == hidden,
                    hidden || key.utf8.starts(with: prefix.utf8)
                {
                    try visit(key, root + "/" + key, entry.name)
                }
            }
        }
    }

    /// Removes empty directories, because a bucket has none. A writer whose directory is removed creates it again.
    private func removeEmptyDirectories(above path: String) {
        var directory = File.directory(of: path)
        while directory.utf8.count > root.utf8.count, rmdir(directory) == 0 {
            directory = File.directory(of: directory)
        }
    }

    private func withLock<Value>(_ operation: String, _ subject: String, _ body: () throws -> Value) throws -> Value {
        let path = root + "/" + Self.hiddenPrefix + "lock"
        // Opened each time: a lock belongs to the open file, so threads that shared one would not exclude each other.
        let lock = try File(opening: path, flags: O_RDWR | O_CREAT, operation, subject)
        try lock.lock()
        return try body()
    }
}

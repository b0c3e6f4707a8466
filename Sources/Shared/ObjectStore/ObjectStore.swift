package import Bytes
package import Foundation

/// A place for objects: bytes under a key, written as a whole, read as a whole or in ranges.
///
/// It handles keys and bytes, not jobs or manifests. `S3ObjectStore` and `FileObjectStore` keep the same contract, and
/// one test runs it on both:
///
/// - **Keys** are paths such as `billing/x/part-0-1.csv`, relative to the store's prefix. A key is 1 to 1024 bytes of
///   UTF-8, prefix included, without control characters, without a slash at either end, and without empty, `.` or `..`
///   components. Any other key throws `.invalidKey` before a request is sent: no key leads out of the prefix. No object's
///   key may be another's directory (`a` beside `a/b`), because a file system cannot have both.
/// - **A write is all or nothing.** A reader sees the old object or the new one, never a part of either, even if the writer
///   is killed. A write that returned is durable, and its size and checksum were confirmed.
/// - **Conditions** hold against every other writer of the same store (see `WriteCondition`).
/// - **Reading your writes**: a returned write is visible to the next `head`, `get`, `read` and `list`.
/// - **Errors** are `ObjectStoreError`, after the store's own retries; a cancelled task gets `CancellationError` within
///   about a second, and a write that was under way may have happened or not.
/// - All calls may be made from any task at the same time. No call blocks the cooperative pool.
package protocol ObjectStore: Sendable {
    /// The object's address in messages and manifests: `s3://bucket/key` or `file:///directory/key`.
    func uri(forKey key: String) -> String

    /// The key of an address of `uri(forKey:)`; nil for an address of another store.
    func key(forURI uri: String) -> String?

    /// Checks that the store can be reached, exists and may be listed: one cheap request, for the start of a program.
    func check() async throws

    /// Writes a whole object and returns its properties, with its SHA-256.
    ///
    /// If the condition does not hold, the existing object is compared with `bytes`: the same content counts as written
    /// (the answer to an earlier try was lost, or another worker wrote the same), any other throws
    /// `.preconditionFailed`.
    func put(_ key: String, bytes: ByteBuffer, options: WriteOptions) async throws -> ObjectInfo

    /// The properties of an object, without reading it; nil if it does not exist.
    func head(_ key: String) async throws -> ObjectInfo?

    /// Reads a whole object of at most `limit` bytes. Returns nil if it does not exist; throws `.tooLarge` if it is
    /// longer.
    func get(_ key: String, limit: Int) async throws -> StoredObject?

    /// Replaces the buffer's content by the object's bytes from `offset` on, as many as fit: fewer than the buffer's
    /// capacity only at the object's end, none from the end on.
    ///
    /// All calls with one `object` read the same version: `.preconditionFailed` if it was replaced or deleted since.
    func read(_ object: ObjectInfo, at offset: Int, into buffer: ByteBuffer) async throws

    /// All objects whose key begins with `prefix` (any text: `a/b` also finds `a/bc`), in the order of their keys' bytes.
    /// `sha256` and `checksum` are nil here.
    func list(prefix: String) async throws -> [ObjectInfo]

    /// Removes an object. A missing object is not an error.
    func delete(_ key: String) async throws

    /// Begins an object that is written in pieces. `pieceBytes` is the size of every piece but the last; S3 accepts at
    /// least 5 MiB and at most 10,000 pieces.
    func beginUpload(_ key: String, pieceBytes: Int, options: WriteOptions) async throws -> any ObjectUpload

    /// Uploads under keys with this prefix that were begun and neither finished nor aborted, of any process, running or
    /// ended. Only their age distinguishes them.
    func pendingUploads(prefix: String) async throws -> [PendingUpload]

    /// Removes the rest of an upload. A missing upload is not an error; an upload that is still running fails.
    func abort(_ upload: PendingUpload) async throws
}

extension ObjectStore {
    package func put(_ key: String, bytes: [UInt8], options: WriteOptions) async throws -> ObjectInfo {
        try await put(key, bytes: ByteBuffer(bytes), options: options)
    }

    /// Reads an object from its first byte to its last and returns the digest of the stored bytes. `buffer` is filled
    /// repeatedly for this.
    package func sha256(of object: ObjectInfo, using buffer: ByteBuffer) async throws -> Digest {
        var hash = SHA256()
        var offset = 0
        while offset < object.size {
            try await read(object, at: offset, into: buffer)
            guard buffer.count > 0 else {
                throw ObjectStoreError(
                    .integrity, "read", uri(forKey: object.key),
                    reason: "it ends after \(offset) of \(object.size) bytes", isRetryable: true)
            }
            hash.update(buffer.bytes)
            offset += buffer.count
        }
        return hash.digest()
    }
}

/// An object that is written in pieces. No object is visible under its key before `finish` returns.
///
/// Pieces may be sent at the same time, in any order, each from a buffer of its own; their number is the number of
/// buffers of an upload. After an error, `abort` must be called; it is cheap if there is nothing to remove.
///
/// An upload that is ended from outside, by a lifecycle rule or `abort(_:)`, throws `.conflict`, which is retryable. It
/// does not begin again by itself, because sent pieces are not kept: a file has hundreds of megabytes, a slot two
/// buffers. The caller's next attempt reads the rows once more and begins a new upload.
package protocol ObjectUpload: Sendable {
    /// Sends piece `number` (from 1) of exactly `pieceBytes` bytes, or the last piece of fewer, after which `finish`
    /// gets no bytes. When it returns, the store has confirmed the piece's checksum, and the buffer can be used again.
    func write(_ piece: ByteBuffer, number: Int) async throws

    /// Sends the last piece, if any, and completes the object: from 0 to `pieceBytes` bytes that follow the pieces
    /// written before, all of which must have returned. An object that fits into `last` is sent in one request.
    ///
    /// `size` and `sha256` are those of the whole object, computed by the caller. The size is compared with the bytes
    /// sent and with the stored object; the digests of the pieces with the store's answers; `sha256` itself where the
    /// store provides it (see `ObjectInfo.sha256`). A condition that does not hold is handled as by `put`: an existing
    /// object counts as written if it has this size and SHA-256.
    func finish(last: ByteBuffer?, size: Int, sha256: Digest) async throws -> ObjectInfo

    /// Removes the sent pieces. Runs to its end, at most about ten seconds, even in a cancelled task. No call of
    /// `write` or `finish` may be under way or follow.
    func abort() async throws
}

package enum WriteCondition: Sendable, Hashable {
    /// An existing object is replaced.
    case none
    /// Only if no object has the key.
    case ifAbsent
    /// Only if the existing object still has this ETag, from `ObjectInfo.etag`.
    case ifMatch(String)
}

package struct WriteOptions: Sendable, Hashable {
    /// The media type for readers.
    package var contentType: String
    package var condition: WriteCondition

    package init(contentType: String, condition: WriteCondition = .none) {
        self.contentType = contentType
        self.condition = condition
    }
}

/// The properties of a stored object.
package struct ObjectInfo: Sendable, Hashable {
    /// The key, relative to the store's prefix.
    package let key: String
    /// Bytes as stored.
    package let size: Int
    /// The store's mark of this version, with the quotes that S3 puts around it. Equal marks mean equal content; no
    /// other conclusion is valid.
    package let etag: String?
    /// The SHA-256 of the whole object, where the store provides it: from `put` and `finish` always; from `head` and
    /// `get` on S3 only for objects sent in one request, because S3 keeps no SHA-256 over the pieces of a larger one;
    /// from `head` on files never, because it requires reading them. `sha256(of:using:)` computes it in every case.
    package let sha256: Digest?
    /// The store's own SHA-256 checksum as text: base64, for an object of N pieces the checksum of the pieces'
    /// checksums followed by `-N`. Nil if the store has none.
    package let checksum: String?
    /// The version in a bucket with versioning.
    package let versionID: String?

    package init(
        key: String, size: Int, etag: String? = nil, sha256: Digest? = nil, checksum: String? = nil,
        versionID: String? = nil
    ) {
        self.key = key
        self.size = size
        self.etag = etag
        self.sha256 = sha256
        self.checksum = checksum
        self.versionID = versionID
    }
}

/// A whole object that was read.
package struct StoredObject: Sendable, Hashable {
    package let bytes: [UInt8]
    /// The properties of the same version.
    package let info: ObjectInfo
}

/// An upload that was begun and has not ended.
package struct PendingUpload: Sendable, Hashable {
    /// The key of the object after completion.
    package let key: String
    /// The store's id of the upload.
    package let id: String
    /// When it was begun (S3) or last written to (files).
    package let startedAt: Date

    package init(key: String, id: String, startedAt: Date) {
        self.key = key
        self.id = id
        self.startedAt = startedAt
    }
}

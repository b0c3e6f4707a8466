package import Bytes
package import Foundation

/// A place for objects: bytes under a key, written as a whole, read as a whole or in ranges.
///
/// It knows keys and bytes, not jobs or manifests. `S3ObjectStore` and `FileObjectStore` keep the same contract, and one
/// test runs it on both:
///
/// - **Keys** are paths such as `billing/x/part-0-1.csv`, relative to the place's own prefix. A key is 1 to 1024 bytes of
///   UTF-8, prefix included, without control characters, without a slash at either end, and without empty, `.` or `..`
///   components. Any other key throws `.invalidKey` before anything is sent: no key leads out of the prefix. No object's
///   key may be another's directory (`a` beside `a/b`): a file system cannot have both.
/// - **A write is all or nothing.** A reader sees the old object or the new one, never a part of either, whatever is
///   killed in between. A write that returned is durable, and its size and checksum came back right.
/// - **Conditions** hold against every other writer of the same store (see `WriteCondition`).
/// - **Reading your writes**: what was written is what the next `head`, `get`, `read` and `list` see.
/// - **Errors** are `ObjectStoreError`, after the retries that the store does by itself; a cancelled task gets
///   `CancellationError`, within about a second, and a write that was under way may then have happened or not.
/// - Everything may be called from any task at the same time. Nothing blocks the cooperative pool.
package protocol ObjectStore: Sendable {
    /// The object's address for people and manifests: `s3://bucket/key` or `file:///directory/key`.
    func uri(forKey key: String) -> String

    /// The key of an address that `uri(forKey:)` gave; nil when it lies in another place.
    func key(forURI uri: String) -> String?

    /// Whether the place can be reached, exists and may be listed: one cheap request, for a start-up check. Throws what
    /// is wrong.
    func check() async throws

    /// Writes a whole object and returns what was stored, with its SHA-256.
    ///
    /// When the condition does not hold, the object that is there is compared with `bytes`: the same content counts as
    /// written (an earlier try's answer was lost, or another worker did the same), any other throws
    /// `.preconditionFailed`.
    func put(_ key: String, bytes: ByteBuffer, options: WriteOptions) async throws -> ObjectInfo

    /// What is known of an object without reading it; nil when there is none.
    func head(_ key: String) async throws -> ObjectInfo?

    /// Reads a whole object of at most `limit` bytes; nil when there is none, `.tooLarge` when it is longer.
    func get(_ key: String, limit: Int) async throws -> StoredObject?

    /// Replaces the buffer's content by the object's bytes from `offset` on, as many as fit: fewer than the buffer's
    /// capacity only at the object's end, none from the end on.
    ///
    /// All calls with one `object` read the same version: `.preconditionFailed` when it was replaced or deleted since.
    func read(_ object: ObjectInfo, at offset: Int, into buffer: ByteBuffer) async throws

    /// All objects whose key begins with `prefix` (any text: `a/b` also finds `a/bc`), in the order of their keys' bytes.
    /// `sha256` and `checksum` are nil here.
    func list(prefix: String) async throws -> [ObjectInfo]

    /// Removes an object. None there is not an error.
    func delete(_ key: String) async throws

    /// Begins an object that is written in pieces. `pieceBytes` is the size of every piece but the last; S3 takes no less
    /// than 5 MiB and no more than 10,000 pieces.
    func beginUpload(_ key: String, pieceBytes: Int, options: WriteOptions) async throws -> any ObjectUpload

    /// Uploads that were begun under keys with this prefix and neither finished nor aborted, of any process, running or
    /// dead. Nothing but age tells one from the other.
    func pendingUploads(prefix: String) async throws -> [PendingUpload]

    /// Removes what an upload has left. One that is gone already is not an error; one that is still running fails.
    func abort(_ upload: PendingUpload) async throws
}

extension ObjectStore {
    /// `put` of an array.
    package func put(_ key: String, bytes: [UInt8], options: WriteOptions) async throws -> ObjectInfo {
        try await put(key, bytes: ByteBuffer(bytes), options: options)
    }

    /// Reads an object from its first byte to its last and returns the digest of what is really there. `buffer` is used
    /// for it, one filling after the other.
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

/// An object that is being written in pieces. Nothing shows under its key before `finish` returns.
///
/// Pieces may be sent at the same time, in any order, each from a buffer of its own; that is how many buffers an upload
/// costs. After an error, `abort` is due: it costs nothing when there is nothing to remove.
///
/// An upload that is ended from outside, by a lifecycle rule or `abort(_:)`, throws `.conflict`, which is retryable. It
/// does not begin again by itself, because pieces that were sent are not kept: a file has hundreds of megabytes, a slot
/// two buffers. The caller's next attempt reads the rows once more and begins a new upload.
package protocol ObjectUpload: Sendable {
    /// Sends piece `number` (from 1) of exactly `pieceBytes` bytes, or the last piece of fewer, after which `finish` gets
    /// none. When it returns, the store has the piece and has confirmed its checksum, and the buffer is free again.
    func write(_ piece: ByteBuffer, number: Int) async throws

    /// Sends the last piece, if any, and completes the object: from 0 to `pieceBytes` bytes that follow the pieces written
    /// before, all of which must have returned. An object that fits into `last` goes in one request.
    ///
    /// `size` and `sha256` are the whole object's, as the caller counted them. The size is compared with what was sent and
    /// with what the store then has; the digests of the pieces with what the store says of them; `sha256` itself where
    /// the store can know it (see `ObjectInfo.sha256`). A condition that does not hold is settled as by `put`: an object
    /// that is there counts as written if it has this size and SHA-256.
    func finish(last: ByteBuffer?, size: Int, sha256: Digest) async throws -> ObjectInfo

    /// Removes what was sent. Runs to its end, at most about ten seconds, even in a cancelled task. No call of `write` or
    /// `finish` may be under way; none may follow.
    func abort() async throws
}

/// When a write may take place.
package enum WriteCondition: Sendable, Hashable {
    /// Always; an object that is there is replaced.
    case none
    /// Only if the key is free.
    case ifAbsent
    /// Only if the object there still has this ETag, as `ObjectInfo.etag` gave it.
    case ifMatch(String)
}

/// How an object is written.
package struct WriteOptions: Sendable, Hashable {
    /// The media type that readers are told.
    package var contentType: String
    /// When the write may take place.
    package var condition: WriteCondition

    /// Options of a write.
    package init(contentType: String, condition: WriteCondition = .none) {
        self.contentType = contentType
        self.condition = condition
    }
}

/// What a store knows of an object.
package struct ObjectInfo: Sendable, Hashable {
    /// The key, relative to the store's prefix.
    package let key: String
    /// Bytes stored.
    package let size: Int
    /// The store's mark of this version, with the quotes that S3 puts around it. Equal marks mean equal content; nothing
    /// else may be read from it.
    package let etag: String?
    /// The SHA-256 of the whole object, where the store can know it: from `put` and `finish` always; from `head` and
    /// `get` on S3 only for objects that went in one request, because S3 keeps no SHA-256 over the pieces of a larger one;
    /// from `head` on files never, because only reading them tells. `sha256(of:using:)` finds out in every case.
    package let sha256: Digest?
    /// The store's own SHA-256 checksum as text: base64, for an object of N pieces the checksum of the pieces' checksums
    /// followed by `-N`. Nil where there is none.
    package let checksum: String?
    /// The version in a bucket with versioning.
    package let versionID: String?

    /// What a store knows of an object.
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
    /// Its content.
    package let bytes: [UInt8]
    /// What the store says of the same version.
    package let info: ObjectInfo
}

/// An upload that was begun and not ended.
package struct PendingUpload: Sendable, Hashable {
    /// The key it would have.
    package let key: String
    /// The store's name for it.
    package let id: String
    /// When it was begun (S3) or last written to (files).
    package let startedAt: Date

    /// An upload as `pendingUploads` gave it.
    package init(key: String, id: String, startedAt: Date) {
        self.key = key
        self.id = id
        self.startedAt = startedAt
    }
}

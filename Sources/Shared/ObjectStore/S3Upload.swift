import Bytes
import Timing

/// An upload to S3. The multipart upload is begun with the first piece, so that an object of one buffer needs none.
actor S3Upload: ObjectUpload {
    /// A piece that S3 has confirmed.
    struct Piece: Sendable {
        let etag: String
        let digest: Digest
    }

    /// S3's limit.
    private static let maximumPieces = 10_000
    private static let abortLimit = Duration.seconds(10)

    private let store: S3ObjectStore
    private let key: String
    private let pieceBytes: Int
    private let options: WriteOptions
    private let creation = SingleFlight<String>()
    private var uploadID: String?
    private var pieces: [Int: Piece] = [:]
    private var bytesWritten = 0
    /// The number of a piece with fewer bytes: it must be the last.
    private var shortPiece: Int?

    init(store: S3ObjectStore, key: String, pieceBytes: Int, options: WriteOptions) {
        self.store = store
        self.key = key
        self.pieceBytes = pieceBytes
        self.options = options
    }

    func write(_ piece: ByteBuffer, number: Int) async throws {
        precondition(
            piece.count == pieceBytes || (1..<pieceBytes).contains(piece.count) && shortPiece == nil,
            "all pieces but the last have \(pieceBytes) bytes, not \(piece.count)")
        if piece.count < pieceBytes { shortPiece = number }
        bytesWritten += piece.count
        try await send(piece, number: number)
    }

    func finish(last: ByteBuffer?, size: Int, sha256: Digest) async throws -> ObjectInfo {
        let lastBytes = last?.count ?? 0
        precondition(lastBytes <= pieceBytes, "the last piece has at most \(pieceBytes) bytes, not \(lastBytes)")
        precondition(shortPiece == nil || shortPiece == pieces.count && lastBytes == 0, "bytes follow a short piece")
        let sent = bytesWritten + lastBytes
        guard sent == size else { throw mismatch("\(size) bytes were counted, \(sent) were given to the store") }

        if pieces.isEmpty {
            let whole = last ?? ByteBuffer(capacity: 0)
            guard try await store.sha256(of: whole) == sha256 else {
                throw mismatch("the bytes given have another SHA-256 than was counted")
            }
            return try await store.put(key, bytes: whole, digest: sha256, options: options)
        }
        if let last, lastBytes > 0 { try await send(last, number: pieces.count + 1) }
        let ordered = try (1...pieces.count).map { number in
            guard let piece = pieces[number] else { throw mismatch("piece \(number) was not written") }
            return piece
        }
        return try await store.completeUpload(
            key, uploadID: try await begin(), pieces: ordered, size: size, sha256: sha256, condition: options.condition)
    }

    func abort() async throws {
        // A task of its own is not cancelled with the caller.
        try await Task {
            do {
                try await withTimeLimit(Self.abortLimit) { try await self.remove() }
            } catch let error as TimeLimitExceeded {
                throw ObjectStoreError(
                    .interrupted, "abort", self.store.uri(forKey: self.key), reason: "\(error)", isRetryable: true)
            }
        }.value
    }

    private func remove() async throws {
        // The request that begins the upload may still be under way, from a write that was cancelled.
        if uploadID == nil { _ = try? await creation.wait() }
        guard let uploadID else { return }
        try await store.abort(key, uploadID: uploadID)
        self.uploadID = nil
    }

    private func send(_ piece: ByteBuffer, number: Int) async throws {
        guard (1...Self.maximumPieces).contains(number) else {
            throw ObjectStoreError(
                .refused, "upload piece \(number) of", store.uri(forKey: key),
                reason: "S3 accepts \(Self.maximumPieces) pieces of an object",
                hint: "raise BDA_UPLOAD_PART_BYTES or lower BDA_MAX_ROW_SIZE_FILE")
        }
        let id = try await begin()
        pieces[number] = try await store.uploadPiece(key, uploadID: id, number: number, bytes: piece)
    }

    private func begin() async throws -> String {
        if let uploadID { return uploadID }
        return try await creation.run {
            let id = try await self.store.createUpload(self.key, options: self.options)
            await self.remember(id)
            return id
        }
    }

    private func remember(_ id: String) { uploadID = id }

    private func mismatch(_ reason: String) -> ObjectStoreError {
        ObjectStoreError(.integrity, "upload", store.uri(forKey: key), reason: reason)
    }
}

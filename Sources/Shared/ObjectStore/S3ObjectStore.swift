import Bytes
import Foundation
import Logging
import Timing

/// A bucket, or a prefix in one, of Amazon S3 or a compatible store.
///
/// - An object of one buffer goes by one PUT, with its SHA-256 as checksum and as metadata (`x-amz-meta-sha256`); a larger
///   one by a multipart upload, where S3 checks each part's SHA-256 and keeps the checksum of the checksums.
/// - Each request is signed with the digest of its body, so a store that checks signatures refuses a changed body even
///   where it knows no checksums. `AWS_REQUEST_CHECKSUM_CALCULATION=when_required` leaves the checksum headers out, for
///   old stores that refuse them.
/// - Retries: `RetryPolicy.objectStore`, for what may pass (see `ObjectStoreError`).
struct S3ObjectStore: ObjectStore {
    private let client: S3Client
    private let keySpace: ObjectKeySpace
    private let configuration: S3Configuration

    /// Lists may hold a thousand keys of a thousand bytes, three times as long when encoded.
    private static let listLimit = 8 * 1024 * 1024
    private static let readBackBytes = 8 * 1024 * 1024

    init(
        _ configuration: S3Configuration, connections: Int, retry: RetryPolicy = .objectStore,
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws(ObjectStoreError) {
        do throws(InvalidKey) {
            keySpace = try ObjectKeySpace(prefix: configuration.prefix)
        } catch {
            let place = "s3://\(configuration.bucket)/\(configuration.prefix)"
            throw ObjectStoreError(.invalidKey, "open", place, reason: error.problem, hint: "look at BDA_OUTPUT")
        }
        self.configuration = configuration
        let pool = CurlPool(size: connections, caFile: configuration.caFile)
        client = S3Client(
            configuration: configuration, keySpace: keySpace, pool: pool, retry: retry, onRetry: onRetry)
    }

    func uri(forKey key: String) -> String { client.uri(key) }

    func key(forURI uri: String) -> String? {
        uri.after("s3://\(configuration.bucket)/").flatMap { keySpace.key(ofFull: $0) }
    }

    func check() async throws {
        var request = S3Request(method: .get, operation: "reach")
        request.query = [("list-type", "2"), ("max-keys", "1"), ("prefix", keySpace.prefix)]
        _ = try await client.send(request)
    }

    // MARK: whole objects

    func put(_ key: String, bytes: ByteBuffer, options: WriteOptions) async throws -> ObjectInfo {
        try await put(key, bytes: bytes, digest: try await sha256(of: bytes), options: options)
    }

    /// The digest of bytes that are going to be sent.
    func sha256(of bytes: ByteBuffer) async throws -> Digest { try await client.sha256(of: bytes) }

    /// `put` of bytes whose digest is known.
    func put(_ key: String, bytes: ByteBuffer, digest: Digest, options: WriteOptions) async throws -> ObjectInfo {
        var request = S3Request(method: .put, operation: "put", key: key, body: bytes)
        request.headers = writeHeaders(options) + conditionHeaders(options.condition)
        request.headers.append(("x-amz-meta-sha256", digest.hex))
        if configuration.sendsChecksums { request.headers.append(("x-amz-checksum-sha256", digest.base64)) }
        let reply: HTTPReply
        do {
            reply = try await client.send(request, digest: digest)
        } catch let error as ObjectStoreError where error.isConditionUnmet(options.condition) {
            let same = try await existing(key, size: bytes.count, sha256: digest, checksum: nil)
            if let same { return same }
            throw error.explainingCondition(options.condition)
        }

        var info = ObjectInfo(
            key: key, size: bytes.count, etag: reply.headers["etag"], sha256: digest,
            checksum: reply.headers["x-amz-checksum-sha256"], versionID: reply.headers["x-amz-version-id"])
        if let checksum = info.checksum {
            guard checksum == digest.base64 else {
                throw mismatch("put", key, "the store answers with another checksum than that of the bytes sent")
            }
        } else {
            // The answer proves nothing, so the object has to.
            info = try await confirm(info, "put")
        }
        return info
    }

    func head(_ key: String) async throws -> ObjectInfo? {
        var request = S3Request(method: .head, operation: "head", key: key)
        request.headers = [("x-amz-checksum-mode", "ENABLED")]
        do {
            return try info(key, try await client.send(request))
        } catch let error as ObjectStoreError where error.status == 404 {
            return nil
        }
    }

    func get(_ key: String, limit: Int) async throws -> StoredObject? {
        var request = S3Request(method: .get, operation: "get", key: key, readsObject: true)
        request.headers = [("x-amz-checksum-mode", "ENABLED")]
        request.sink = .memory(limit: limit)
        do {
            let reply = try await client.send(request)
            let info = try info(key, reply)
            guard info.size == reply.body.count else {
                throw mismatch("get", key, "\(info.size) bytes were announced, \(reply.body.count) came")
            }
            guard info.sha256 == nil || info.sha256 == SHA256.hash(reply.body) else {
                throw mismatch("get", key, "the bytes that came have another SHA-256 than the object")
            }
            return StoredObject(bytes: reply.body, info: info)
        } catch let error as ObjectStoreError where error.status == 404 && error.s3Code != "NoSuchBucket" {
            return nil
        } catch let error as ObjectStoreError where error.kind == .badReply && error.curlCode != nil {
            throw ObjectStoreError(.tooLarge, "get", uri(forKey: key), reason: "it has more than \(limit) bytes")
        }
    }

    func read(_ object: ObjectInfo, at offset: Int, into buffer: ByteBuffer) async throws {
        precondition(offset >= 0)
        guard offset < object.size else { return buffer.removeAll() }
        let end = min(offset + buffer.capacity, object.size)
        var request = S3Request(method: .get, operation: "read", key: object.key, readsObject: true)
        request.headers = [("range", "bytes=\(offset)-\(end - 1)")]
        if let etag = object.etag { request.headers.append(("if-match", etag)) }
        request.sink = .buffer(buffer)
        do {
            _ = try await client.send(request)
        } catch let error as ObjectStoreError where error.status == 404 && error.s3Code != "NoSuchBucket" {
            throw error.explaining(.preconditionFailed, "the object is gone")
        } catch let error as ObjectStoreError where error.status == 412 || error.status == 416 {
            throw error.explaining(.preconditionFailed, "the object was replaced")
        }
        guard buffer.count == end - offset else {
            throw mismatch("read", object.key, "\(end - offset) bytes were asked for, \(buffer.count) came")
        }
    }

    func delete(_ key: String) async throws {
        do {
            _ = try await client.send(S3Request(method: .delete, operation: "delete", key: key))
        } catch let error as ObjectStoreError where error.s3Code == "NoSuchKey" {
            return
        }
    }

    func list(prefix: String) async throws -> [ObjectInfo] {
        let full = try fullPrefix(prefix, "list")
        var objects: [ObjectInfo] = []
        var token: String?
        repeat {
            var request = S3Request(method: .get, operation: "list", sink: .memory(limit: Self.listLimit))
            request.query = [("list-type", "2"), ("prefix", full), ("encoding-type", "url")]
            if let token { request.query.append(("continuation-token", token)) }
            let page = try await page(request, root: "ListBucketResult", ObjectPage.init)
            for object in page.objects {
                // What breaks the rules for keys was not written by this program, which could not address it either.
                guard let key = keySpace.key(ofFull: object.fullKey) else { continue }
                objects.append(ObjectInfo(key: key, size: object.size, etag: object.etag))
            }
            if page.next != nil, page.next == token { throw endless("list") }
            token = page.next
        } while token != nil
        // Not all stores keep S3's order.
        return objects.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    // MARK: uploads

    func beginUpload(_ key: String, partBytes: Int, options: WriteOptions) async throws -> any ObjectUpload {
        precondition(partBytes > 0)
        do throws(InvalidKey) {
            _ = try keySpace.fullKey(key)
        } catch {
            throw ObjectStoreError(.invalidKey, "upload", uri(forKey: key), reason: error.problem)
        }
        return S3Upload(store: self, key: key, partBytes: partBytes, options: options)
    }

    func pendingUploads(prefix: String) async throws -> [PendingUpload] {
        let full = try fullPrefix(prefix, "list uploads under")
        var uploads: [PendingUpload] = []
        var after: (key: String, uploadID: String)?
        repeat {
            var request = S3Request(method: .get, operation: "list uploads under", sink: .memory(limit: Self.listLimit))
            request.query = [("uploads", ""), ("prefix", full), ("encoding-type", "url")]
            if let after { request.query += [("key-marker", after.key), ("upload-id-marker", after.uploadID)] }
            let page = try await page(request, root: "ListMultipartUploadsResult", UploadPage.init)
            for upload in page.uploads {
                guard let key = keySpace.key(ofFull: upload.fullKey) else { continue }
                uploads.append(PendingUpload(key: key, id: upload.id, startedAt: upload.startedAt))
            }
            if let next = page.next, let after, next == after { throw endless(request.operation) }
            after = page.next
        } while after != nil
        return uploads
    }

    func abort(_ upload: PendingUpload) async throws {
        try await abort(upload.key, uploadID: upload.id)
    }

    func abort(_ key: String, uploadID: String) async throws {
        var request = S3Request(method: .delete, operation: "abort", key: key)
        request.query = [("uploadId", uploadID)]
        do {
            _ = try await client.send(request)
        } catch let error as ObjectStoreError where error.s3Code == "NoSuchUpload" {
            return
        }
    }

    /// Begins a multipart upload and returns its id.
    func createUpload(_ key: String, options: WriteOptions) async throws -> String {
        var request = S3Request(method: .post, operation: "begin upload of", key: key)
        request.query = [("uploads", "")]
        request.headers = writeHeaders(options)
        if configuration.sendsChecksums { request.headers.append(("x-amz-checksum-algorithm", "SHA256")) }
        let reply = try await client.send(request)
        guard let id = XMLElement.parse(reply.body)?["UploadId"]?.text, !id.isEmpty else {
            throw ObjectStoreError(
                .badReply, request.operation, uri(forKey: key), reason: "the answer has no upload id", isRetryable: true
            )
        }
        return id
    }

    /// Sends one part.
    func uploadPart(_ key: String, uploadID: String, number: Int, bytes: ByteBuffer) async throws -> S3Upload.Part {
        let digest = try await client.sha256(of: bytes)
        var request = S3Request(method: .put, operation: "upload part \(number) of", key: key, body: bytes)
        request.query = [("partNumber", String(number)), ("uploadId", uploadID)]
        if configuration.sendsChecksums { request.headers = [("x-amz-checksum-sha256", digest.base64)] }
        let reply = try await client.send(request, digest: digest)
        guard let etag = reply.headers["etag"], !etag.isEmpty else {
            throw ObjectStoreError(
                .badReply, request.operation, uri(forKey: key), reason: "the answer has no ETag", isRetryable: true)
        }
        if let checksum = reply.headers["x-amz-checksum-sha256"], checksum != digest.base64 {
            throw mismatch(
                request.operation, key, "the store answers with another checksum than that of the bytes sent")
        }
        return S3Upload.Part(etag: etag, digest: digest)
    }

    /// Makes one object of the parts and compares what the store then has with what was sent.
    func completeUpload(
        _ key: String, uploadID: String, parts: [S3Upload.Part], size: Int, sha256: Digest, condition: WriteCondition
    ) async throws -> ObjectInfo {
        var request = S3Request(method: .post, operation: "complete", key: key)
        request.query = [("uploadId", uploadID)]
        request.headers = [("content-type", "application/xml")] + conditionHeaders(condition)
        if configuration.sendsChecksums { request.headers.append(("x-amz-mp-object-size", String(size))) }
        let body = Array(completion(parts).utf8)
        request.body = ByteBuffer(body)
        request.stallLimit = .seconds(300)
        // After a conflict S3 wants all parts again, in a new upload.
        request.retriesConflict = false

        let checksum = "\(SHA256.hash(parts.flatMap(\.digest.bytes)).base64)-\(parts.count)"
        let reply: HTTPReply
        do {
            reply = try await client.send(request, digest: SHA256.hash(body))
        } catch let error as ObjectStoreError
            where error.isConditionUnmet(condition) || error.s3Code == "NoSuchUpload"
        {
            // The first try's answer was lost, or another worker was first: the same bytes are as good as ours.
            if let same = try await existing(key, size: size, sha256: sha256, checksum: checksum) {
                // The object is right; parts that cannot be removed now are found by `pendingUploads`.
                try? await abort(key, uploadID: uploadID)
                return same
            }
            if error.s3Code == "NoSuchUpload" {
                throw error.explaining(.conflict, "the upload was aborted by someone else", isRetryable: true)
            }
            throw error.explainingCondition(condition)
        }
        let root = XMLElement.parse(reply.body)
        guard root?.name == "CompleteMultipartUploadResult" else {
            throw ObjectStoreError(
                .badReply, "complete", uri(forKey: key), reason: "the answer does not say that it is complete",
                isRetryable: true)
        }
        let stated = ObjectInfo(
            key: key, size: size, etag: root?["ETag"]?.text, sha256: sha256, checksum: checksum,
            versionID: reply.headers["x-amz-version-id"])
        if let theirs = root?["ChecksumSHA256"]?.text, !Self.sameChecksum(theirs, checksum) {
            throw mismatch("complete", key, "the store answers with another checksum than that of the parts sent")
        }
        return try await confirm(stated, "complete")
    }

    private func completion(_ parts: [S3Upload.Part]) -> String {
        let entries = parts.enumerated().map { index, part in
            let etag = part.etag.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            let checksum =
                configuration.sendsChecksums ? "<ChecksumSHA256>\(part.digest.base64)</ChecksumSHA256>" : ""
            return "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(etag)</ETag>\(checksum)</Part>"
        }
        let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        return "<CompleteMultipartUpload xmlns=\"\(namespace)\">\(entries.joined())</CompleteMultipartUpload>"
    }

    // MARK: what is there

    /// Asks for the object that was just written and compares it: size, ETag, and the checksum where the store has one.
    private func confirm(_ written: ObjectInfo, _ operation: String) async throws -> ObjectInfo {
        guard let found = try await head(written.key) else {
            throw mismatch(operation, written.key, "the store took the object and does not have it")
        }
        guard found.size == written.size else {
            throw mismatch(operation, written.key, "\(written.size) bytes were sent, the store has \(found.size)")
        }
        if let etag = written.etag, let other = found.etag, etag != other {
            throw mismatch(operation, written.key, "the store has another object (its ETag differs) than it took")
        }
        if let digest = written.sha256, let other = found.sha256, digest != other {
            throw mismatch(operation, written.key, "the store has an object of another SHA-256 than it took")
        }
        if let checksum = written.checksum, let other = found.checksum, !Self.sameChecksum(checksum, other) {
            throw mismatch(operation, written.key, "the store has an object of another checksum than it took")
        }
        return ObjectInfo(
            key: written.key, size: written.size, etag: found.etag ?? written.etag, sha256: written.sha256,
            checksum: found.checksum, versionID: found.versionID ?? written.versionID)
    }

    /// The object under `key` if it holds exactly these bytes. Read back when the store knows no checksum that tells.
    private func existing(_ key: String, size: Int, sha256: Digest, checksum: String?) async throws -> ObjectInfo? {
        guard let found = try await head(key), found.size == size else { return nil }
        var isSame = found.sha256.map { $0 == sha256 }
        if isSame == nil, let checksum, let other = found.checksum, Self.sameChecksum(checksum, other) { isSame = true }
        if isSame == nil {
            // Parts of another size have another checksum: only the bytes tell.
            let buffer = ByteBuffer(capacity: max(1, min(size, Self.readBackBytes)))
            isSame = try await self.sha256(of: found, using: buffer) == sha256
        }
        guard isSame == true else { return nil }
        return ObjectInfo(
            key: key, size: size, etag: found.etag, sha256: sha256, checksum: found.checksum, versionID: found.versionID
        )
    }

    /// What a reply's headers say of an object.
    private func info(_ key: String, _ reply: HTTPReply) throws -> ObjectInfo {
        guard let size = reply.headers["content-length"].flatMap({ Int($0) }), size >= 0 else {
            throw ObjectStoreError(
                .badReply, "head", uri(forKey: key), reason: "the answer has no length", isRetryable: true)
        }
        let etag = reply.headers["etag"]
        let checksum = reply.headers["x-amz-checksum-sha256"]
        var digest = reply.headers["x-amz-meta-sha256"].flatMap { Digest(hex: $0) }
        // For an object of several parts it is the checksum of their checksums. Amazon marks that by its type and by
        // `-N` at the end; others mark only the ETag.
        let isComposite = reply.headers["x-amz-checksum-type"] == "COMPOSITE" || etag?.contains("-") == true
        if digest == nil, !isComposite { digest = checksum.flatMap { Digest(base64: $0) } }
        return ObjectInfo(
            key: key, size: size, etag: etag, sha256: digest, checksum: checksum,
            versionID: reply.headers["x-amz-version-id"])
    }

    /// Some stores leave out the `-N` of a checksum over parts.
    private static func sameChecksum(_ one: String, _ other: String) -> Bool {
        one.prefix { $0 != "-" } == other.prefix { $0 != "-" }
    }

    // MARK: requests

    private func writeHeaders(_ options: WriteOptions) -> [(name: String, value: String)] {
        [("content-type", options.contentType)] + configuration.writeHeaders
    }

    private func conditionHeaders(_ condition: WriteCondition) -> [(name: String, value: String)] {
        switch condition {
        case .none: []
        case .ifAbsent: [("if-none-match", "*")]
        case .ifMatch(let etag): [("if-match", etag)]
        }
    }

    private func fullPrefix(_ prefix: String, _ operation: String) throws -> String {
        do throws(InvalidKey) {
            return try keySpace.fullPrefix(prefix)
        } catch {
            throw ObjectStoreError(.invalidKey, operation, client.uri(prefix), reason: error.problem)
        }
    }

    private func page<Page>(
        _ request: S3Request, root: String, _ read: (XMLElement) throws(BadPage) -> Page
    ) async throws -> Page {
        let reply = try await client.send(request)
        func bad(_ reason: String) -> ObjectStoreError {
            ObjectStoreError(.badReply, request.operation, client.uri(nil), reason: reason, isRetryable: true)
        }
        guard let page = XMLElement.parse(reply.body), page.name == root else {
            throw bad("the answer is not a \(root)")
        }
        do throws(BadPage) {
            return try read(page)
        } catch {
            throw bad(error.reason)
        }
    }

    /// A store that gives the same page again and again would be asked for ever.
    private func endless(_ operation: String) -> ObjectStoreError {
        ObjectStoreError(.badReply, operation, client.uri(nil), reason: "the list goes on where it began")
    }

    private func mismatch(_ operation: String, _ key: String, _ reason: String) -> ObjectStoreError {
        ObjectStoreError(.integrity, operation, uri(forKey: key), reason: reason, isRetryable: true)
    }
}

extension ObjectStoreError {
    /// Whether the write did not take place because its condition does not hold. For an object that is to be replaced
    /// and is gone, Amazon answers 404.
    fileprivate func isConditionUnmet(_ condition: WriteCondition) -> Bool {
        switch condition {
        case .none: false
        case .ifAbsent: status == 412
        case .ifMatch: status == 412 || status == 404 && s3Code == "NoSuchKey"
        }
    }

    fileprivate func explainingCondition(_ condition: WriteCondition) -> ObjectStoreError {
        explaining(
            .preconditionFailed,
            condition == .ifAbsent ? "the key is taken by other content" : "the object was replaced or deleted")
    }

    /// The same failure, said in our words.
    fileprivate func explaining(_ kind: Kind, _ reason: String, isRetryable: Bool = false) -> ObjectStoreError {
        var error = ObjectStoreError(kind, operation, subject, reason: reason, isRetryable: isRetryable)
        error.status = status
        error.s3Code = s3Code
        error.requestID = requestID
        error.attempts = attempts
        return error
    }
}

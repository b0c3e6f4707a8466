import Bytes
import Foundation
import Logging
import Timing

/// A bucket, or a prefix in one, of Amazon S3 or a compatible store.
///
/// - An object of one buffer is sent by one PUT, with its SHA-256 as checksum and as metadata (`x-amz-meta-sha256`); a
///   larger one by a multipart upload, in which S3 checks each piece's SHA-256 and keeps the checksum of the checksums.
/// - Each request is signed with the digest of its body, so a store that checks signatures refuses a changed body even
///   if it supports no checksums. `AWS_REQUEST_CHECKSUM_CALCULATION=when_required` omits the checksum headers, for old
///   stores that refuse them.
/// - Retries: `RetryPolicy.objectStore`, for errors that may pass (see `ObjectStoreError`).
struct S3ObjectStore: ObjectStore {
    let client: S3Client
    let keySpace: ObjectKeySpace
    let configuration: S3Configuration

    /// A list holds up to a thousand keys of a thousand bytes, three times as long when encoded.
    static let listLimit = 8 * 1024 * 1024
    static let readBackBytes = 8 * 1024 * 1024

    init(
        _ configuration: S3Configuration, connections: Int, retry: RetryPolicy = .objectStore,
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws(ObjectStoreError) {
        do throws(InvalidKey) {
            keySpace = try ObjectKeySpace(prefix: configuration.prefix)
        } catch {
            let place = "s3://\(configuration.bucket)/\(configuration.prefix)"
            throw ObjectStoreError(.invalidKey, "open", place, reason: error.problem, hint: "check BDA_OUTPUT")
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

    /// The digest of bytes to be sent.
    func sha256(of bytes: ByteBuffer) async throws -> Digest { try await client.sha256(of: bytes) }

    /// `put` of bytes with a known digest.
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
            // The answer has no checksum, so the stored object is compared.
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
                throw mismatch("get", key, "\(info.size) bytes were announced, \(reply.body.count) were received")
            }
            guard info.sha256 == nil || info.sha256 == SHA256.hash(reply.body) else {
                throw mismatch("get", key, "the received bytes have another SHA-256 than the object")
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
            throw error.explaining(.preconditionFailed, "the object was deleted")
        } catch let error as ObjectStoreError where error.status == 412 || error.status == 416 {
            throw error.explaining(.preconditionFailed, "the object was replaced")
        }
        guard buffer.count == end - offset else {
            throw mismatch("read", object.key, "\(end - offset) bytes were requested, \(buffer.count) were received")
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
                // A key that breaks the rules was not written by this program, which could not address it either.
                guard let key = keySpace.key(ofFull: object.fullKey) else { continue }
                objects.append(ObjectInfo(key: key, size: object.size, etag: object.etag))
            }
            if page.next != nil, page.next == token { throw endless("list") }
            token = page.next
        } while token != nil
        // Not all stores keep S3's order.
        return objects.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    // MARK: requests

    func writeHeaders(_ options: WriteOptions) -> [(name: String, value: String)] {
        [("content-type", options.contentType)] + configuration.writeHeaders
    }

    func conditionHeaders(_ condition: WriteCondition) -> [(name: String, value: String)] {
        switch condition {
        case .none: []
        case .ifAbsent: [("if-none-match", "*")]
        case .ifMatch(let etag): [("if-match", etag)]
        }
    }

    func fullPrefix(_ prefix: String, _ operation: String) throws -> String {
        do throws(InvalidKey) {
            return try keySpace.fullPrefix(prefix)
        } catch {
            throw ObjectStoreError(.invalidKey, operation, client.uri(prefix), reason: error.problem)
        }
    }

    func page<Page>(
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

    /// The error of a store that returns the same page again and again, which would otherwise be requested without end.
    func endless(_ operation: String) -> ObjectStoreError {
        ObjectStoreError(.badReply, operation, client.uri(nil), reason: "the list repeats a page")
    }

    func mismatch(_ operation: String, _ key: String, _ reason: String) -> ObjectStoreError {
        ObjectStoreError(.integrity, operation, uri(forKey: key), reason: reason, isRetryable: true)
    }
}

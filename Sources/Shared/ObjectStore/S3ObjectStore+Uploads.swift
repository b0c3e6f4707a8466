import Bytes
import Foundation

/// Multipart uploads.
extension S3ObjectStore {
    func beginUpload(_ key: String, pieceBytes: Int, options: WriteOptions) async throws -> any ObjectUpload {
        precondition(pieceBytes > 0)
        do throws(InvalidKey) {
            _ = try keySpace.fullKey(key)
        } catch {
            throw ObjectStoreError(.invalidKey, "upload", uri(forKey: key), reason: error.problem)
        }
        return S3Upload(store: self, key: key, pieceBytes: pieceBytes, options: options)
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

    func uploadPiece(_ key: String, uploadID: String, number: Int, bytes: ByteBuffer) async throws -> S3Upload.Piece {
        let digest = try await client.sha256(of: bytes)
        var request = S3Request(method: .put, operation: "upload piece \(number) of", key: key, body: bytes)
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
        return S3Upload.Piece(etag: etag, digest: digest)
    }

    /// Completes the object and compares the stored object with the bytes sent.
    func completeUpload(
        _ key: String, uploadID: String, pieces: [S3Upload.Piece], size: Int, sha256: Digest, condition: WriteCondition
    ) async throws -> ObjectInfo {
        var request = S3Request(method: .post, operation: "complete", key: key)
        request.query = [("uploadId", uploadID)]
        request.headers = [("content-type", "application/xml")] + conditionHeaders(condition)
        if configuration.sendsChecksums { request.headers.append(("x-amz-mp-object-size", String(size))) }
        let body = Array(completion(pieces).utf8)
        request.body = ByteBuffer(body)
        request.stallLimit = .seconds(300)
        // After a conflict S3 requires all pieces again, in a new upload.
        request.retriesConflict = false

        let checksum = "\(SHA256.hash(pieces.flatMap(\.digest.bytes)).base64)-\(pieces.count)"
        let reply: HTTPReply
        do {
            reply = try await client.send(request, digest: SHA256.hash(body))
        } catch let error as ObjectStoreError
            where error.isConditionUnmet(condition) || error.s3Code == "NoSuchUpload"
        {
            // The answer to the first try was lost, or another worker was first: the same bytes count as written.
            if let same = try await existing(key, size: size, sha256: sha256, checksum: checksum) {
                // The object is right; pieces that cannot be removed now are found by `pendingUploads`.
                try? await abort(key, uploadID: uploadID)
                return same
            }
            if error.s3Code == "NoSuchUpload" {
                throw error.explaining(.conflict, "the upload was ended from outside", isRetryable: true)
            }
            throw error.explainingCondition(condition)
        }
        let root = XMLElement.parse(reply.body)
        guard root?.name == "CompleteMultipartUploadResult" else {
            throw ObjectStoreError(
                .badReply, "complete", uri(forKey: key), reason: "the answer does not confirm the completion",
                isRetryable: true)
        }
        let stated = ObjectInfo(
            key: key, size: size, etag: root?["ETag"]?.text, sha256: sha256, checksum: checksum,
            versionID: reply.headers["x-amz-version-id"])
        if let theirs = root?["ChecksumSHA256"]?.text, !Self.sameChecksum(theirs, checksum) {
            throw mismatch("complete", key, "the store answers with another checksum than that of the pieces sent")
        }
        return try await confirm(stated, "complete")
    }

    private func completion(_ pieces: [S3Upload.Piece]) -> String {
        let entries = pieces.enumerated().map { index, piece in
            let etag = piece.etag.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            let checksum =
                configuration.sendsChecksums ? "<ChecksumSHA256>\(piece.digest.base64)</ChecksumSHA256>" : ""
            return "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(etag)</ETag>\(checksum)</Part>"
        }
        let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        return "<CompleteMultipartUpload xmlns=\"\(namespace)\">\(entries.joined())</CompleteMultipartUpload>"
    }
}

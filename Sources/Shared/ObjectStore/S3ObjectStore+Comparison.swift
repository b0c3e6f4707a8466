import Bytes
import Foundation

/// Comparisons of stored objects with the bytes sent.
extension S3ObjectStore {
    /// Reads the properties of the written object and compares them: size, ETag, and the checksum if the store has one.
    func confirm(_ written: ObjectInfo, _ operation: String) async throws -> ObjectInfo {
        guard let found = try await head(written.key) else {
            throw mismatch(operation, written.key, "the store accepted the object and does not have it")
        }
        guard found.size == written.size else {
            throw mismatch(operation, written.key, "\(written.size) bytes were sent, the store has \(found.size)")
        }
        if let etag = written.etag, let other = found.etag, etag != other {
            throw mismatch(operation, written.key, "the store has another object (its ETag differs) than it accepted")
        }
        if let digest = written.sha256, let other = found.sha256, digest != other {
            throw mismatch(operation, written.key, "the store has an object of another SHA-256 than it accepted")
        }
        if let checksum = written.checksum, let other = found.checksum, !Self.sameChecksum(checksum, other) {
            throw mismatch(operation, written.key, "the store has an object of another checksum than it accepted")
        }
        return ObjectInfo(
            key: written.key, size: written.size, etag: found.etag ?? written.etag, sha256: written.sha256,
            checksum: found.checksum, versionID: found.versionID ?? written.versionID)
    }

    /// The object under `key` if it holds exactly these bytes. It is read if the store has no conclusive checksum.
    func existing(_ key: String, size: Int, sha256: Digest, checksum: String?) async throws -> ObjectInfo? {
        guard let found = try await head(key), found.size == size else { return nil }
        var isSame = found.sha256.map { $0 == sha256 }
        if isSame == nil, let checksum, let other = found.checksum, Self.sameChecksum(checksum, other) { isSame = true }
        if isSame == nil {
            // Other piece sizes give another checksum, so the bytes must be compared.
            let buffer = ByteBuffer(capacity: max(1, min(size, Self.readBackBytes)))
            isSame = try await self.sha256(of: found, using: buffer) == sha256
        }
        guard isSame == true else { return nil }
        return ObjectInfo(
            key: key, size: size, etag: found.etag, sha256: sha256, checksum: found.checksum, versionID: found.versionID
        )
    }

    /// The properties of an object in a reply's headers.
    func info(_ key: String, _ reply: HTTPReply) throws -> ObjectInfo {
        guard let size = reply.headers["content-length"].flatMap({ Int($0) }), size >= 0 else {
            throw ObjectStoreError(
                .badReply, "head", uri(forKey: key), reason: "the answer has no length", isRetryable: true)
        }
        let etag = reply.headers["etag"]
        let checksum = reply.headers["x-amz-checksum-sha256"]
        var digest = reply.headers["x-amz-meta-sha256"].flatMap { Digest(hex: $0) }
        // For an object of several pieces it is the checksum of their checksums. Amazon marks that by its type and by
        // `-N` at the end; others mark only the ETag.
        let isComposite = reply.headers["x-amz-checksum-type"] == "COMPOSITE" || etag?.contains("-") == true
        if digest == nil, !isComposite { digest = checksum.flatMap { Digest(base64: $0) } }
        return ObjectInfo(
            key: key, size: size, etag: etag, sha256: digest, checksum: checksum,
            versionID: reply.headers["x-amz-version-id"])
    }

    /// Compares checksums without `-N`, because some stores omit the `-N` of a checksum over pieces.
    static func sameChecksum(_ one: String, _ other: String) -> Bool {
        one.prefix { $0 != "-" } == other.prefix { $0 != "-" }
    }
}

extension ObjectStoreError {
    /// Whether the write did not take place because its condition does not hold. If an object to be replaced does not
    /// exist any more, Amazon answers 404.
    func isConditionUnmet(_ condition: WriteCondition) -> Bool {
        switch condition {
        case .none: false
        case .ifAbsent: status == 412
        case .ifMatch: status == 412 || status == 404 && s3Code == "NoSuchKey"
        }
    }

    func explainingCondition(_ condition: WriteCondition) -> ObjectStoreError {
        explaining(
            .preconditionFailed,
            condition == .ifAbsent ? "the key is taken by other content" : "the object was replaced or deleted")
    }

    /// The same failure with another kind and reason.
    func explaining(_ kind: Kind, _ reason: String, isRetryable: Bool = false) -> ObjectStoreError {
        var error = ObjectStoreError(kind, operation, subject, reason: reason, isRetryable: isRetryable)
        error.status = status
        error.s3Code = s3Code
        error.requestID = requestID
        error.attempts = attempts
        return error
    }
}

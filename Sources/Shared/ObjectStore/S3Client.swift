import BlockingIO
import Bytes
import CLibCurl
import Foundation
import Timing

/// A request to the bucket, before it is addressed and signed.
struct S3Request: Sendable {
    var method: HTTPRequest.Method
    /// The operation in error texts.
    var operation: String
    /// The key, relative to the store's prefix; nil for the bucket itself.
    var key: String?
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    var body: ByteBuffer?
    var sink = HTTPRequest.Sink.memory(limit: 64 * 1024)
    /// S3 may need minutes to complete a large object.
    var stallLimit = Duration.seconds(60)
    /// Whether the body of a success is an object's content, not an XML reply of S3.
    var readsObject = false
    /// Whether a 409 may be retried unchanged.
    var retriesConflict = true

    /// The time limit of one try: twice the limit of a stall, plus the time of its bytes at 64 KiB a second. It is
    /// needed because a store that sends single bytes never stalls.
    var totalLimit: Duration {
        let received =
            switch sink {
            case .memory(let limit): limit
            case .buffer(let buffer): buffer.capacity
            }
        return stallLimit * 2 + .seconds(max(body?.count ?? 0, received) / 65536)
    }
}

/// Addresses, signs, sends and repeats requests, and turns unsuccessful answers into errors.
struct S3Client: Sendable {
    /// Facts from earlier answers.
    private final class Memory: Sendable {
        struct State {
            var dayKey: SigV4.DayKey?
            /// The store's clock minus this machine's clock, in seconds.
            var clockOffset: TimeInterval = 0
        }

        let state = Mutex(State())
    }

    let configuration: S3Configuration
    let keySpace: ObjectKeySpace
    private let pool: CurlPool
    private let credentials: CredentialProvider
    private let signer: SigV4
    private let retry: RetryPolicy
    private let onRetry: @Sendable (ObjectStoreError, Duration) -> Void
    private let memory = Memory()

    init(
        configuration: S3Configuration, keySpace: ObjectKeySpace, pool: CurlPool, retry: RetryPolicy,
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void
    ) {
        self.configuration = configuration
        self.keySpace = keySpace
        self.pool = pool
        self.retry = retry
        self.onRetry = onRetry
        credentials = CredentialProvider(sources: configuration.credentials.sources(pool))
        signer = SigV4(region: configuration.region, service: "s3")
    }

    /// `s3://bucket/key`, or the bucket's address.
    func uri(_ key: String?) -> String { "s3://\(configuration.bucket)/\(keySpace.prefix)\(key ?? "")" }

    /// The digest of a body, computed on a connection's thread.
    func sha256(of body: ByteBuffer) async throws -> Digest {
        try await pool.withHandle { await $0.sha256(of: body) }
    }

    /// Sends a request until it succeeds, fails permanently or has used up its tries. `digest` is that of its body.
    func send(_ request: S3Request, digest: Digest = SHA256.hash("")) async throws -> HTTPReply {
        var hasNewCredentials = false
        var hasNewClock = false
        var attempt = 1
        while true {
            let credentials = try await credentials.credentials()
            var error: ObjectStoreError
            var reply: HTTPReply?
            do {
                let signed = try sign(request, credentials, digest)
                let answer = try await pool.withHandle { try await $0.send(signed) }
                guard let failure = failure(of: answer, to: request) else { return answer }
                error = failure
                reply = answer
            } catch let failure as CurlError {
                error = ObjectStoreError(failure, request.operation, uri(request.key))
            }

            if !hasNewCredentials, Self.asksForNewCredentials(error, request, credentials) {
                hasNewCredentials = true
                if try await self.credentials.replace(credentials) { continue }
            }
            if !hasNewClock, let offset = clockOffset(reply, error) {
                hasNewClock = true
                memory.state.withLock { $0.clockOffset = offset }
                continue
            }
            if error.kind == .conflict, !request.retriesConflict || error.s3Code == "NoSuchUpload" { throw error }
            guard error.isRetryable, retry.allowsAttempt(after: attempt) else {
                if attempt > 1 { error.attempts = attempt }
                throw error
            }
            let asked = reply.flatMap(Self.askedDelay) ?? .zero
            let delay = max(retry.delay(afterAttempt: attempt), min(asked, retry.maximum))
            onRetry(error, delay)
            try await Task.sleep(for: delay)
            attempt += 1
        }
    }

    private func sign(_ request: S3Request, _ credentials: Credentials, _ digest: Digest) throws -> HTTPRequest {
        var signed = HTTPRequest(
            method: request.method, server: configuration.server, path: try path(request), query: request.query,
            headers: request.headers, body: request.body, sink: request.sink, stallLimit: request.stallLimit,
            totalLimit: request.totalLimit)
        if let owner = configuration.bucketOwner {
            signed.headers.append(("x-amz-expected-bucket-owner", owner))
        }
        memory.state.withLock { state in
            signer.sign(
                &signed, credentials: credentials, payloadHash: digest.hex,
                at: Date().addingTimeInterval(state.clockOffset), dayKey: &state.dayKey)
        }
        return signed
    }

    private func path(_ request: S3Request) throws -> String {
        let bucket = configuration.usesPathStyle ? "/\(configuration.bucket)" : ""
        guard let key = request.key else { return bucket.isEmpty ? "/" : bucket }
        do throws(InvalidKey) {
            return "\(bucket)/\(PercentEncoding.encode(try keySpace.fullKey(key), keeping: "/"))"
        } catch {
            throw ObjectStoreError(.invalidKey, request.operation, uri(key), reason: error.problem)
        }
    }

    private func failure(of reply: HTTPReply, to request: S3Request) -> ObjectStoreError? {
        if reply.isSuccess, request.readsObject { return nil }
        let fault = S3Fault(reply.body)
        if reply.isSuccess, fault == nil { return nil }
        return ObjectStoreError(reply, fault: fault, request.operation, uri(request.key))
    }

    /// Whether other credentials may help: these have expired, or were replaced in their file and revoked.
    ///
    /// The answer to a HEAD has no code, only a status. A 403 may mean a missing right as well; that does not justify a
    /// request to a service that issues credentials, which have an expiry time.
    private static func asksForNewCredentials(
        _ error: ObjectStoreError, _ request: S3Request, _ credentials: Credentials
    ) -> Bool {
        switch error.s3Code {
        case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId",
            "SignatureDoesNotMatch":
            true
        case nil:
            request.method == .head
                && (error.status == 400 || error.status == 403 && credentials.expiration == nil)
        default: false
        }
    }

    /// The store's clock minus this machine's clock, if the answer indicates that the difference is the cause.
    private func clockOffset(_ reply: HTTPReply?, _ error: ObjectStoreError) -> TimeInterval? {
        guard let reply, let text = reply.headers["date"] else { return nil }
        let seconds = curl_getdate(text, nil)
        guard seconds > 0 else { return nil }
        let offset = Date(timeIntervalSince1970: TimeInterval(seconds)).timeIntervalSinceNow
        if error.kind == .clockSkew { return offset }
        let known = memory.state.withLock { $0.clockOffset }
        // A refused HEAD has no code. S3 allows a difference of 15 minutes.
        return error.status == 403 && error.s3Code == nil && abs(offset - known) > 14 * 60 ? offset : nil
    }

    /// The delay that the store requests: `x-amz-retry-after` in milliseconds, `Retry-After` in seconds.
    private static func askedDelay(_ reply: HTTPReply) -> Duration? {
        if let milliseconds = reply.headers["x-amz-retry-after"].flatMap({ Int($0) }), milliseconds >= 0 {
            return .milliseconds(milliseconds)
        }
        if let seconds = reply.headers["retry-after"].flatMap({ Int($0) }), seconds >= 0 { return .seconds(seconds) }
        return nil
    }
}

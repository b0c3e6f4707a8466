import BlockingIO
import Bytes
import Foundation
import ObjectStore
import Settings
import Timing
import Testing

/// What the S3 store makes of faults, over a server that has them on demand.
@Suite(.timeLimit(.minutes(1))) struct S3FaultTests {
    static let csv = WriteOptions(contentType: "text/csv")
    static let ifAbsent = WriteOptions(contentType: "text/csv", condition: .ifAbsent)
    static let secret = "SECRETSECRETSECRET"

    // MARK: retries

    @Test func `a request is repeated after a fault that may pass`() async throws {
        let answers = Answers([
            .answer(503, body: Self.fault("SlowDown")), .answer(500), .reset, .answer(200, headers: ["ETag": "\"1\""]),
            .answer(200, headers: ["Content-Length": "5", "ETag": "\"1\""]),
        ])
        let server = try FaultServer(answers.next)
        let retries = Mutex<[ObjectStoreError.Kind]>([])
        let store = try Self.store(server) { error, _ in retries.withLock { $0.append(error.kind) } }
        let info = try await store.put("key", bytes: Array("hello".utf8), options: Self.csv)
        #expect(info.etag == "\"1\"")
        #expect(server.requests.map(\.method) == ["PUT", "PUT", "PUT", "PUT", "HEAD"])
        #expect(server.requests.prefix(4).allSatisfy { $0.body == Array("hello".utf8) })
        // libcurl itself repeats a request when a kept connection breaks before the first byte of an answer; a reset that
        // it sees later is repeated by us.
        #expect(retries.withLock { $0 }.filter { $0 != .interrupted } == [.throttled, .storeFault])
    }

    @Test func `a request is given up after five tries`() async throws {
        let server = try FaultServer { _ in
            .answer(500, headers: ["x-amz-request-id": "R1"], body: Self.fault("InternalError", "We failed."))
        }
        let store = try Self.store(server)
        let error = await expect(.storeFault) { _ = try await store.get("a/key", limit: 10) }
        #expect(server.requests.count == 5)
        #expect(error?.isRetryable == true)
        #expect(error?.attempts == 5)
        #expect(
            error?.description
                == "unable to get 's3://bucket/p/a/key': We failed. (InternalError, HTTP 500, request R1, 5 tries)")
    }

    @Test(arguments: [
        (403, "AccessDenied", ObjectStoreError.Kind.accessDenied, "s3:PutObject"),
        (404, "NoSuchBucket", .noSuchPlace, "BDA_S3_BUCKET"),
        (403, "InvalidAccessKeyId", .credentials, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", .credentials, "AWS_SECRET_ACCESS_KEY"),
        (400, "KMS.NotFoundException", .refused, "BDA_S3_KMS_KEY_ID"),
        (501, "NotImplemented", .unsupported, "conditional"),
        (400, "InvalidTag", .refused, "BDA_S3_TAGS"), (400, "InvalidStorageClass", .refused, "BDA_S3_STORAGE_CLASS"),
        (400, "IllegalLocationConstraintException", .wrongRegion, "BDA_S3_REGION"),
    ])
    func `a refusal is final and says what to look at`(
        status: Int, code: String, kind: ObjectStoreError.Kind, hint: String
    ) async throws {
        let server = try FaultServer { _ in .answer(status, body: Self.fault(code)) }
        let store = try Self.store(server)
        let error = await expect(kind) { _ = try await store.put("key", bytes: [1], options: Self.csv) }
        #expect(server.requests.count == 1)
        #expect(error?.isRetryable == false)
        #expect(error?.s3Code == code && error?.status == status)
        #expect(error?.hint?.contains(hint) == true, "\(error?.hint ?? "")")
        #expect(error?.description.contains(Self.secret) == false)
    }

    @Test(arguments: [HTTPVerb.head, .get])
    func `another region is named`(verb: HTTPVerb) async throws {
        let server = try FaultServer { _ in .answer(301, headers: ["x-amz-bucket-region": "us-west-2"]) }
        let store = try Self.store(server)
        let error = await expect(.wrongRegion) { try await verb.run(store) }
        #expect(error?.hint == "set BDA_S3_REGION=us-west-2")
        #expect(server.requests.count == 1)
    }

    enum HTTPVerb: Sendable {
        case head, get

        func run(_ store: any ObjectStore) async throws {
            switch self {
            case .head: _ = try await store.head("key")
            case .get: _ = try await store.get("key", limit: 10)
            }
        }
    }

    @Test func `the delay that a store asks for is kept, up to the longest of the policy`() async throws {
        let answers = Answers([
            .answer(503, headers: ["x-amz-retry-after": "15"]), .answer(503, headers: ["Retry-After": "3600"]),
            .answer(204),
        ])
        let server = try FaultServer(answers.next)
        let delays = Mutex<[Duration]>([])
        let store = try Self.store(server) { _, delay in delays.withLock { $0.append(delay) } }
        try await store.delete("key")
        // A connection that the server has closed meanwhile may be found broken by us, and not by libcurl: a shorter wait.
        #expect(delays.withLock { $0 }.filter { $0 >= .milliseconds(15) } == [.milliseconds(15), .milliseconds(20)])
    }

    @Test func `nothing listens there`() async throws {
        let port = try FaultServer { _ in .answer(200) }.port
        let store = try Self.store(endpoint: "http://127.0.0.1:\(port)")
        let error = await expect(.unreachable) { _ = try await store.head("key") }
        #expect(error?.isRetryable == true)
        #expect(error?.attempts == 5)
        #expect(error?.curlCode == 7)
        #expect(error?.hint?.contains("BDA_S3_ENDPOINT") == true)
    }

    @Test func `a name that nobody knows`() async throws {
        let store = try Self.store(endpoint: "http://no-such-host.invalid")
        let error = await expect(.unreachable) { _ = try await store.head("key") }
        #expect(error?.curlCode == 6)
        #expect(error?.hint?.contains("DNS") == true)
    }

    @Test func `TLS to a server without it`() async throws {
        let server = try FaultServer { _ in .answer(200) }
        let store = try Self.store(endpoint: "https://127.0.0.1:\(server.port)")
        let error = await expect(.tls) { _ = try await store.head("key") }
        #expect(error?.hint?.contains("http://") == true)
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: TLSServer.program),
            "\(TLSServer.program) is not installed"))
    func `a certificate is believed when its authority is given`() async throws {
        let server = try TLSServer()
        var environment = Self.environment("https://localhost:\(server.port)")
        let stranger = try Self.store(environment)
        let error = await expect(.tls) { try await stranger.check() }
        #expect(error?.isRetryable == false)
        #expect(error?.curlCode == 60)
        #expect(error?.hint?.contains("AWS_CA_BUNDLE") == true)
        environment["AWS_CA_BUNDLE"] = server.certificate
        try await Self.store(environment).check()
        environment["AWS_CA_BUNDLE"] = "/nowhere.pem"
        let blind = try Self.store(environment)
        await expect(.tls) { try await blind.check() }
    }

    // MARK: credentials and clock

    @Test(arguments: ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
    func `a key that is refused is read again from its file`(code: String) async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("bda-\(UUID().uuidString)")
        func write(_ id: String) throws {
            try Data("[default]\naws_access_key_id=\(id)\naws_secret_access_key=s\n".utf8).write(to: file)
        }
        defer { try? FileManager.default.removeItem(at: file) }
        try write("OLD")
        let server = try FaultServer { request in
            request.headers["authorization"]?.contains("Credential=NEW/") == true
                ? .answer(204) : .answer(403, body: Self.fault(code))
        }
        var environment = Self.environment("http://127.0.0.1:\(server.port)")
        environment["AWS_ACCESS_KEY_ID"] = nil
        environment["AWS_SECRET_ACCESS_KEY"] = nil
        environment["AWS_SHARED_CREDENTIALS_FILE"] = file.path
        environment["AWS_CONFIG_FILE"] = "/nowhere"
        let store = try Self.store(environment)
        let error = await expect(.credentials) { try await store.delete("key") }
        #expect(error?.s3Code == code)
        // The file still has the same key, which is not worth a second request.
        #expect(server.requests.count == 1)
        try write("NEW")
        try await store.delete("key")
        #expect(server.requests.count == 3)
        try await store.delete("key")
        #expect(server.requests.count == 4)
    }

    @Test func `the store's clock is taken when ours is wrong`() async throws {
        let future = Date().addingTimeInterval(86_400 * 3)
        let text = future.formatted(
            Date.VerbatimFormatStyle(
                format:
                    "\(weekday: .abbreviated), \(day: .twoDigits) \(month: .abbreviated) \(year: .defaultDigits) \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits):\(second: .twoDigits) GMT",
                locale: Locale(identifier: "en_US_POSIX"), timeZone: .gmt, calendar: Calendar(identifier: .gregorian)))
        let day = future.formatted(.iso8601.year().month().day().dateSeparator(.omitted))
        let server = try FaultServer { request in
            if request.headers["x-amz-date"]?.hasPrefix(day) == true { return .answer(204) }
            return .answer(403, headers: ["Date": text], body: Self.fault("RequestTimeTooSkewed"))
        }
        let store = try Self.store(server)
        try await store.delete("key")
        #expect(server.requests.count == 2)
        try await store.delete("key")
        #expect(server.requests.count == 3)
    }

    // MARK: cancellation

    @Test func `a transfer that stands still ends soon after it is cancelled`() async throws {
        let server = try FaultServer { _ in .silence }
        let store = try Self.store(server)
        let task = Task { try await store.get("key", limit: 10) }
        _ = await server.nextRequest()
        let clock = ContinuousClock()
        let started = clock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { _ = try await task.value }
        // Milliseconds, if the machine has time for it; without the wake-up it is the stall limit, a minute.
        #expect(clock.now - started < .seconds(30))
    }

    @Test func `a delay between tries ends when it is cancelled`() async throws {
        let server = try FaultServer { _ in .answer(503) }
        let (told, tell) = AsyncStream<Void>.makeStream()
        let retry = RetryPolicy(attempts: 5, base: .seconds(600), maximum: .seconds(600))
        let store = try Self.store(Self.environment("http://127.0.0.1:\(server.port)"), retry: retry) { _, _ in
            tell.yield()
        }
        let task = Task { try await store.delete("key") }
        for await _ in told { break }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func `a task that waits for a connection ends when it is cancelled, and the connection serves the next`()
        async throws
    {
        let gate = Gate()
        let server = try FaultServer { _ in
            gate.wait()
            return .answer(204)
        }
        let store = try Self.store(Self.environment("http://127.0.0.1:\(server.port)"), connections: 1)
        let first = Task { try await store.delete("first") }
        _ = await server.nextRequest()
        let second = Task { try await store.delete("second") }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        let third = Task { try await store.delete("third") }
        gate.open()
        try await first.value
        try await third.value
        #expect(server.requests.map(\.path) == ["/bucket/p/first", "/bucket/p/third"])
    }

    @Test func `an upload that is cancelled while it begins is aborted all the same`() async throws {
        let gate = Gate()
        let server = try FaultServer { request in
            guard request.has("uploads") else { return .answer(204) }
            gate.wait()
            return .answer(200, body: Self.created)
        }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.csv)
        let write = Task { try await upload.write(ByteBuffer([1, 2, 3]), number: 1) }
        _ = await server.nextRequest()
        write.cancel()
        await #expect(throws: CancellationError.self) { try await write.value }
        let abort = Task { try await upload.abort() }
        gate.open()
        try await abort.value
        let last = try #require(server.requests.last)
        #expect(last.method == "DELETE")
        #expect(last.target == "/bucket/p/key?uploadId=U%2B1")
    }
}

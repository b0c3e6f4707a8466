import BlockingIO
import Bytes
import Foundation
import ObjectStore
import Settings
import Timing
import Testing

/// What the S3 store makes of faults, over a server that has them on demand.
@Suite(.timeLimit(.minutes(1))) struct S3FaultTests {
    private static let csv = WriteOptions(contentType: "text/csv")
    private static let ifAbsent = WriteOptions(contentType: "text/csv", condition: .ifAbsent)
    private static let secret = "SECRETSECRETSECRET"

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

    @Test func `an expired token is renewed once`() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("bda-\(UUID().uuidString)")
        func write(_ id: String) throws {
            try Data("[default]\naws_access_key_id=\(id)\naws_secret_access_key=s\n".utf8).write(to: file)
        }
        defer { try? FileManager.default.removeItem(at: file) }
        try write("OLD")
        let server = try FaultServer { request in
            request.headers["authorization"]?.contains("Credential=NEW/") == true
                ? .answer(204) : .answer(400, body: Self.fault("ExpiredToken"))
        }
        var environment = Self.environment("http://127.0.0.1:\(server.port)")
        environment["AWS_ACCESS_KEY_ID"] = nil
        environment["AWS_SECRET_ACCESS_KEY"] = nil
        environment["AWS_SHARED_CREDENTIALS_FILE"] = file.path
        environment["AWS_CONFIG_FILE"] = "/nowhere"
        let store = try Self.store(environment)
        let error = await expect(.credentials) { try await store.delete("key") }
        #expect(error?.s3Code == "ExpiredToken")
        #expect(server.requests.count == 2)
        // The first answer after the change still refuses the old key; the next request has the new one.
        try write("NEW")
        try await store.delete("key")
        #expect(server.requests.count == 4)
        try await store.delete("key")
        #expect(server.requests.count == 5)
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

    // MARK: replies that are not what they seem

    @Test func `a success that holds an error is a failure`() async throws {
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            default: .answer(200, body: Self.fault("InternalError", "Please try again."))
            }
        }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.ifAbsent)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        let error = await expect(.storeFault) {
            _ = try await upload.finish(last: nil, size: 3, sha256: SHA256.hash([1, 2, 3]))
        }
        #expect(error?.reason == "the answer was a success that holds an error: Please try again.")
        #expect(error?.attempts == 5)
        await expect(.storeFault) { _ = try await store.put("key", bytes: [1], options: Self.csv) }
    }

    @Test(arguments: ["", "<html>busy</html>", "<CompleteMultipartUploadResult>", "<!DOCTYPE a><a/>"])
    func `an answer that makes no sense completes nothing`(body: String) async throws {
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            default: .answer(200, body: body)
            }
        }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.csv)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        let error = await expect(.badReply) {
            _ = try await upload.finish(last: nil, size: 3, sha256: SHA256.hash([1, 2, 3]))
        }
        #expect(error?.isRetryable == true)
    }

    @Test func `a checksum that came back wrong is a failure`() async throws {
        let wrong = SHA256.hash("other").base64
        let server = try FaultServer { request in
            request.has("uploads")
                ? .answer(200, body: Self.created)
                : .answer(200, headers: ["ETag": "\"p\"", "x-amz-checksum-sha256": wrong])
        }
        let store = try Self.store(server)
        await expect(.integrity) { _ = try await store.put("key", bytes: [1], options: Self.csv) }
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.csv)
        await expect(.integrity) { try await upload.write(ByteBuffer([1, 2, 3]), number: 1) }
    }

    @Test func `a part without an ETag is a failure`() async throws {
        let server = try FaultServer { .answer(200, body: $0.has("uploads") ? Self.created : "") }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.csv)
        await expect(.badReply) { try await upload.write(ByteBuffer([1, 2, 3]), number: 1) }
    }

    @Test(arguments: [
        (["Content-Length": "2", "ETag": "\"whole\""], "3 bytes were sent, the store has 2"),
        (["Content-Length": "3", "ETag": "\"other\""], "ETag differs"),
        (["Content-Length": "3", "ETag": "\"whole\"", "x-amz-checksum-sha256": "AAAA-1"], "another checksum"),
    ])
    func `what lies there after completing is compared`(headers: [String: String], reason: String) async throws {
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("POST", false, _): .answer(200, body: Self.completed("\"whole\""))
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            default: .answer(200, headers: headers)
            }
        }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.csv)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        let error = await expect(.integrity) {
            _ = try await upload.finish(last: nil, size: 3, sha256: SHA256.hash([1, 2, 3]))
        }
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }

    @Test func `an object that is gone right after it was put is a failure`() async throws {
        let server = try FaultServer { $0.method == "HEAD" ? .answer(404) : .answer(200, headers: ["ETag": "\"1\""]) }
        let store = try Self.store(server)
        await expect(.integrity) { _ = try await store.put("key", bytes: [1], options: Self.csv) }
    }

    @Test func `an object that is cut off is read again`() async throws {
        let answers = Answers([.cutOff(announced: 10, body: "01234"), .answer(200, body: "0123456789")])
        let server = try FaultServer(answers.next)
        #expect(try await Self.store(server).get("key", limit: 10)?.bytes == Array("0123456789".utf8))

        let ranges = Answers([
            .cutOff(announced: 5, body: "012"), .answer(206, body: "01234"), .answer(206, body: "56"),
        ])
        let rangeServer = try FaultServer(ranges.next)
        let store = try Self.store(rangeServer)
        let object = ObjectInfo(key: "key", size: 10, etag: "\"1\"")
        let buffer = ByteBuffer(capacity: 5)
        try await store.read(object, at: 0, into: buffer)
        #expect(Array(buffer.bytes) == Array("01234".utf8))
        await expect(.integrity) { try await store.read(object, at: 5, into: buffer) }
        #expect(rangeServer.requests.map { $0.headers["range"] } == ["bytes=0-4", "bytes=0-4", "bytes=5-9"])
        #expect(rangeServer.requests.allSatisfy { $0.headers["if-match"] == "\"1\"" })
    }

    @Test func `a store that does not know ranges is not believed`() async throws {
        let server = try FaultServer { _ in .answer(200, body: "0123456789") }
        let store = try Self.store(server)
        let object = ObjectInfo(key: "key", size: 10, etag: "\"1\"")
        await expect(.badReply) { try await store.read(object, at: 2, into: ByteBuffer(capacity: 4)) }
        await expect(.integrity) { try await store.read(object, at: 2, into: ByteBuffer(capacity: 20)) }
    }

    @Test func `a part whose connection breaks is sent again as a whole`() async throws {
        let part = ByteBuffer((0..<(6 * 1024 * 1024)).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        let server = try FaultServer {
            $0.has("uploads") ? .answer(200, body: Self.created) : .answer(200, headers: ["ETag": "\"p\""])
        }
        server.resetOnce(afterBodyBytes: 1_000_000)
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", partBytes: part.count, options: Self.csv)
        try await upload.write(part, number: 1)
        let request = try #require(server.requests.last)
        #expect(request.target == "/bucket/p/key?partNumber=1&uploadId=U%2B1")
        #expect(request.body == Array(part.bytes))
    }

    // MARK: answers that were lost

    @Test func `a put whose answer was lost is settled by what lies there`() async throws {
        let digest = SHA256.hash([1, 2, 3])
        let answers = Answers([
            .reset, .answer(412, body: Self.fault("PreconditionFailed")),
            .answer(
                200, headers: ["Content-Length": "3", "ETag": "\"1\"", "x-amz-meta-sha256": digest.hex]),
        ])
        let server = try FaultServer(answers.next)
        let info = try await Self.store(server).put("key", bytes: [1, 2, 3], options: Self.ifAbsent)
        #expect(info.sha256 == digest)
        #expect(server.requests.map(\.method) == ["PUT", "PUT", "HEAD"])
        #expect(server.requests[0].headers["if-none-match"] == "*")
    }

    @Test func `a key that is taken by other content is not ours`() async throws {
        let answers = Answers([
            .answer(412, body: Self.fault("PreconditionFailed")),
            .answer(
                200, headers: ["Content-Length": "3", "ETag": "\"1\"", "x-amz-meta-sha256": SHA256.hash("other").hex]),
        ])
        let server = try FaultServer(answers.next)
        let store = try Self.store(server)
        let error = await expect(.preconditionFailed) {
            _ = try await store.put("key", bytes: [1, 2, 3], options: Self.ifAbsent)
        }
        #expect(error?.isRetryable == false)
        #expect(error?.reason == "the key is taken by other content")
    }

    @Test(arguments: [true, false])
    func `a Complete whose answer was lost is settled by what lies there`(isOurs: Bool) async throws {
        let digest = SHA256.hash([1, 2, 3])
        let checksum = SHA256.hash(digest.bytes).base64 + "-1"
        let completions = Answers([.reset, .answer(404, body: Self.fault("NoSuchUpload"))])
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("POST", false, _): completions.next(request)
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            case ("HEAD", _, _):
                .answer(
                    isOurs ? 200 : 404,
                    headers: ["Content-Length": "3", "ETag": "\"w-1\"", "x-amz-checksum-sha256": checksum])
            default: .answer(404, body: Self.fault("NoSuchUpload"))
            }
        }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.csv)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        if isOurs {
            let info = try await upload.finish(last: nil, size: 3, sha256: digest)
            #expect(info.etag == "\"w-1\"")
        } else {
            let error = await expect(.conflict) { _ = try await upload.finish(last: nil, size: 3, sha256: digest) }
            #expect(error?.isRetryable == true)
        }
        try await upload.abort()
    }

    @Test(arguments: [(409, "ConditionalRequestConflict"), (400, "InvalidPart")])
    func `a conflict repeats a put, but a Complete needs all parts again`(status: Int, code: String) async throws {
        let puts = Answers([
            .answer(409, body: Self.fault("ConditionalRequestConflict")),
            .answer(200, headers: ["ETag": "\"1\"", "x-amz-checksum-sha256": SHA256.hash([1]).base64]),
        ])
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("POST", false, _): .answer(status, body: Self.fault(code))
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            default: puts.next(request)
            }
        }
        let store = try Self.store(server)
        _ = try await store.put("key", bytes: [1], options: Self.ifAbsent)
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.ifAbsent)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        let error = await expect(.conflict) {
            _ = try await upload.finish(last: nil, size: 3, sha256: SHA256.hash([1, 2, 3]))
        }
        #expect(error?.isRetryable == true)
        #expect(server.requests.filter { $0.method == "POST" && !$0.has("uploads") }.count == 1)
    }

    // MARK: what is sent

    @Test func `a write carries what the settings ask for`() async throws {
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("POST", false, _): .answer(200, body: Self.completed("\"w\""))
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            case ("HEAD", _, _): .answer(200, headers: ["Content-Length": "4", "ETag": "\"w\""])
            default: .answer(200, headers: ["ETag": "\"w\""])
            }
        }
        var environment = Self.environment("http://127.0.0.1:\(server.port)")
        environment["BDA_S3_SSE"] = "aws:kms"
        environment["BDA_S3_KMS_KEY_ID"] = "arn:aws:kms:eu-central-1:123456789012:key/k"
        environment["BDA_S3_STORAGE_CLASS"] = "STANDARD_IA"
        environment["BDA_S3_TAGS"] = "team=billing,cost centre=a&b"
        environment["BDA_S3_BUCKET_OWNER"] = "123456789012"
        let store = try Self.store(environment)
        _ = try await store.put("small", bytes: [1, 2, 3, 4], options: Self.ifAbsent)
        let upload = try await store.beginUpload("large", partBytes: 3, options: Self.ifAbsent)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        _ = try await upload.finish(last: ByteBuffer([4]), size: 4, sha256: SHA256.hash([1, 2, 3, 4]))

        #expect(server.requests.allSatisfy { $0.headers["x-amz-expected-bucket-owner"] == "123456789012" })
        let writes = server.requests.filter { $0.headers["x-amz-server-side-encryption"] != nil }
        #expect(writes.map(\.method) == ["PUT", "POST"])
        for write in writes {
            #expect(write.headers["x-amz-server-side-encryption"] == "aws:kms")
            #expect(
                write.headers["x-amz-server-side-encryption-aws-kms-key-id"]
                    == "arn:aws:kms:eu-central-1:123456789012:key/k")
            #expect(write.headers["x-amz-storage-class"] == "STANDARD_IA")
            #expect(write.headers["x-amz-tagging"] == "team=billing&cost%20centre=a%26b")
            #expect(write.headers["content-type"] == "text/csv")
        }
        let small = try #require(server.requests.first)
        #expect(small.headers["x-amz-meta-sha256"] == SHA256.hash([1, 2, 3, 4]).hex)
        #expect(small.headers["x-amz-checksum-sha256"] == SHA256.hash([1, 2, 3, 4]).base64)
        #expect(small.headers["x-amz-content-sha256"] == SHA256.hash([1, 2, 3, 4]).hex)
        #expect(writes.last?.headers["x-amz-checksum-algorithm"] == "SHA256")
        let complete = try #require(server.requests.first { $0.method == "POST" && $0.has("uploadId") })
        #expect(complete.headers["if-none-match"] == "*")
        #expect(complete.headers["x-amz-mp-object-size"] == "4")
        let parts = [[UInt8](1...3), [4]].enumerated().map { index, bytes in
            "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\"p\"</ETag>"
                + "<ChecksumSHA256>\(SHA256.hash(bytes).base64)</ChecksumSHA256></Part>"
        }
        #expect(String(decoding: complete.body, as: UTF8.self).contains(parts.joined()))
        // Headers that libcurl adds by itself must not have been signed.
        let authorization = try #require(small.headers["authorization"])
        let signed = try #require(authorization.firstMatch(of: /SignedHeaders=([^,]+)/)?.1).split(separator: ";")
        #expect(Set(signed).isDisjoint(with: ["content-length", "user-agent", "expect", "accept"]))
        #expect(Set(signed).isSuperset(of: ["host", "if-none-match", "content-type", "x-amz-tagging"]))
    }

    @Test func `checksums are left out for old stores`() async throws {
        let server = try FaultServer {
            $0.method == "HEAD"
                ? .answer(200, headers: ["Content-Length": "1", "ETag": "\"1\""])
                : .answer(200, headers: ["ETag": "\"1\""])
        }
        var environment = Self.environment("http://127.0.0.1:\(server.port)")
        environment["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
        _ = try await Self.store(environment).put("key", bytes: [1], options: Self.csv)
        #expect(server.requests.allSatisfy { $0.headers["x-amz-checksum-sha256"] == nil })
        #expect(server.requests[0].headers["x-amz-meta-sha256"] == SHA256.hash([1]).hex)
    }

    // MARK: lists

    @Test func `pages are followed and keys decoded`() async throws {
        func page(_ key: String, _ token: String?) -> String {
            let next = token.map {
                "<IsTruncated>true</IsTruncated><NextContinuationToken>\($0)</NextContinuationToken>"
            }
            return "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + "<Contents><Key>\(key)</Key><Size>7</Size><ETag>&quot;e&quot;</ETag></Contents>"
                + (next ?? "<IsTruncated>false</IsTruncated>") + "</ListBucketResult>"
        }
        let answers = Answers([
            .answer(200, body: page("p/a%2Bb+c%C3%BC", "t+/=")), .answer(200, body: page("p/../climb", "u")),
            .answer(200, body: page("p/z", nil)),
        ])
        let server = try FaultServer(answers.next)
        let objects = try await Self.store(server).list(prefix: "")
        #expect(objects.map(\.key) == ["a+b cü", "z"])
        #expect(objects.map(\.etag) == ["\"e\"", "\"e\""])
        #expect(
            server.requests.map(\.target) == [
                "/bucket?encoding-type=url&list-type=2&prefix=p%2F",
                "/bucket?continuation-token=t%2B%2F%3D&encoding-type=url&list-type=2&prefix=p%2F",
                "/bucket?continuation-token=u&encoding-type=url&list-type=2&prefix=p%2F",
            ])
    }

    @Test func `pages of pending uploads are followed`() async throws {
        func page(_ key: String, _ next: String) -> String {
            "<ListMultipartUploadsResult>\(next)<Upload><Key>p/\(key)</Key><UploadId>U\(key)</UploadId>"
                + "<Initiated>2026-01-02T03:04:05.678Z</Initiated></Upload></ListMultipartUploadsResult>"
        }
        let next = "<IsTruncated>true</IsTruncated><NextKeyMarker>p/a%3D</NextKeyMarker>"
        let answers = Answers([
            .answer(200, body: page("a", next + "<NextUploadIdMarker>Ua</NextUploadIdMarker>")),
            .answer(200, body: page("b", "")),
        ])
        let server = try FaultServer(answers.next)
        let uploads = try await Self.store(server).pendingUploads(prefix: "")
        #expect(uploads.map(\.id) == ["Ua", "Ub"])
        #expect(uploads.first?.startedAt == Date(timeIntervalSince1970: 1_767_323_045))
        #expect(server.requests.last?.target.contains("key-marker=p%2Fa%3D") == true)
        #expect(server.requests.last?.target.contains("upload-id-marker=Ua") == true)
    }

    /// A list that ends too early would be taken for all there is, and one that never ends for ever.
    @Test(arguments: [
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken></NextContinuationToken>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>",
        "<Contents><Key>p/a</Key><Size>-1</Size></Contents>", "<Contents><Key>p/a</Contents></Key>", "<Contents>",
    ])
    func `a list that makes no sense is no list`(_ content: String) async throws {
        let server = try FaultServer { _ in
            .answer(200, body: "<ListBucketResult>\(content)</ListBucketResult>")
        }
        let error = await #expect(throws: ObjectStoreError.self) {
            try await Self.store(server).list(prefix: "")
        }
        #expect(error?.kind == .badReply)
    }

    @Test(arguments: [
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>",
        "<Upload><Key>p/a</Key><UploadId></UploadId><Initiated>2026-01-02T03:04:05Z</Initiated></Upload>",
    ])
    func `a list of uploads that makes no sense is no list`(_ content: String) async throws {
        let server = try FaultServer { _ in
            .answer(200, body: "<ListMultipartUploadsResult>\(content)</ListMultipartUploadsResult>")
        }
        let error = await #expect(throws: ObjectStoreError.self) {
            try await Self.store(server).pendingUploads(prefix: "")
        }
        #expect(error?.kind == .badReply)
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
        let upload = try await store.beginUpload("key", partBytes: 3, options: Self.csv)
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

    // MARK: support

    private static let created =
        "<?xml version=\"1.0\"?>\n<InitiateMultipartUploadResult><UploadId>U+1</UploadId></InitiateMultipartUploadResult>"

    private static func completed(_ etag: String) -> String {
        "<CompleteMultipartUploadResult><ETag>\(etag)</ETag></CompleteMultipartUploadResult>"
    }

    private static func fault(_ code: String, _ message: String = "no") -> String {
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>\(code)</Code><Message>\(message)</Message></Error>"
    }

    private static func environment(_ endpoint: String) -> [String: String] {
        [
            "BDA_OUTPUT": "s3://bucket/p", "BDA_S3_ENDPOINT": endpoint, "BDA_S3_PATH_STYLE": "true",
            "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true",
        ]
    }

    private static func store(
        _ environment: [String: String], connections: Int = 4,
        retry: RetryPolicy = RetryPolicy(attempts: 5, base: .milliseconds(1), maximum: .milliseconds(20)),
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws -> any ObjectStore {
        var settings = SettingsReader(environment: environment)
        let configuration = ObjectStoreConfiguration(settings: &settings, environment: environment)
        try settings.finish()
        return try configuration.open(connections: connections, retry: retry, onRetry: onRetry)
    }

    private static func store(
        endpoint: String, onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws -> any ObjectStore {
        try store(environment(endpoint), onRetry: onRetry)
    }

    private static func store(
        _ server: FaultServer, onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws -> any ObjectStore {
        try store(endpoint: "http://127.0.0.1:\(server.port)", onRetry: onRetry)
    }
}

/// Answers in order; the last one stays.
final class Answers: Sendable {
    private let rest: Mutex<[FaultServer.Action]>

    init(_ actions: [FaultServer.Action]) { rest = Mutex(actions) }

    @Sendable func next(_ request: FaultServer.Request) -> FaultServer.Action {
        rest.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] }
    }
}

/// Holds a server's thread until a test lets it go.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func wait() {
        semaphore.wait()
        semaphore.signal()
    }

    func open() { semaphore.signal() }
}

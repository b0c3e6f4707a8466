import BlockingIO
import Bytes
import Foundation
import ObjectStore
import Settings
import Testing
import Timing

/// Replies that are not what they seem, and those that were lost.
extension S3FaultTests {
    @Test func `a success that holds an error is a failure`() async throws {
        let server = try FaultServer { request in
            switch (request.method, request.has("uploads"), request.has("partNumber")) {
            case ("POST", true, _): .answer(200, body: Self.created)
            case ("PUT", _, true): .answer(200, headers: ["ETag": "\"p\""])
            default: .answer(200, body: Self.fault("InternalError", "Please try again."))
            }
        }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.ifAbsent)
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
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.csv)
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
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.csv)
        await expect(.integrity) { try await upload.write(ByteBuffer([1, 2, 3]), number: 1) }
    }

    @Test func `a piece without an ETag is a failure`() async throws {
        let server = try FaultServer { .answer(200, body: $0.has("uploads") ? Self.created : "") }
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.csv)
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
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.csv)
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

    @Test func `a piece whose connection breaks is sent again as a whole`() async throws {
        let piece = ByteBuffer((0..<(6 * 1024 * 1024)).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        let server = try FaultServer {
            $0.has("uploads") ? .answer(200, body: Self.created) : .answer(200, headers: ["ETag": "\"p\""])
        }
        server.resetOnce(afterBodyBytes: 1_000_000)
        let store = try Self.store(server)
        let upload = try await store.beginUpload("key", pieceBytes: piece.count, options: Self.csv)
        try await upload.write(piece, number: 1)
        let request = try #require(server.requests.last)
        #expect(request.target == "/bucket/p/key?partNumber=1&uploadId=U%2B1")
        #expect(request.body == Array(piece.bytes))
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
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.csv)
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
    func `a conflict repeats a put, but a Complete needs all pieces again`(status: Int, code: String) async throws {
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
        let upload = try await store.beginUpload("key", pieceBytes: 3, options: Self.ifAbsent)
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        let error = await expect(.conflict) {
            _ = try await upload.finish(last: nil, size: 3, sha256: SHA256.hash([1, 2, 3]))
        }
        #expect(error?.isRetryable == true)
        #expect(server.requests.filter { $0.method == "POST" && !$0.has("uploads") }.count == 1)
    }
}

import BlockingIO
import Bytes
import Foundation
import ObjectStore
import Settings
import Testing
import Timing

/// What is sent, and lists.
extension S3FaultTests {
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
        let upload = try await store.beginUpload("large", pieceBytes: 3, options: Self.ifAbsent)
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
        let pieces = [[UInt8](1...3), [4]].enumerated().map { index, bytes in
            "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\"p\"</ETag>"
                + "<ChecksumSHA256>\(SHA256.hash(bytes).base64)</ChecksumSHA256></Part>"
        }
        #expect(String(decoding: complete.body, as: UTF8.self).contains(pieces.joined()))
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
}

import Bytes
import Foundation
import Testing

@testable import ObjectStore

@Suite struct SigV4Tests {
    private static let exampleDate = Date(timeIntervalSince1970: 1_369_353_600)  // 2013-05-24T00:00:00Z
    private static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The examples of "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API
    /// Reference.
    struct Example: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var method = HTTPRequest.Method.get
        var path = "/"
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var payloadHash = SigV4Tests.emptyHash
        let signedHeaders: String
        let signature: String
    }

    static let examples = [
        Example(
            testDescription: "GET object, a range", path: "/test.txt", headers: [("range", "bytes=0-9")],
            signedHeaders: "host;range;x-amz-content-sha256;x-amz-date",
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Example(
            testDescription: "PUT object", method: .put,
            path: "/" + PercentEncoding.encode("test$file.text", keeping: "/"),
            headers: [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payloadHash: SHA256.hash("Welcome to Amazon S3.").hex,
            signedHeaders: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Example(
            testDescription: "GET bucket lifecycle", query: [("lifecycle", "")],
            signedHeaders: "host;x-amz-content-sha256;x-amz-date",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Example(
            testDescription: "GET bucket, list objects", query: [("prefix", "J"), ("max-keys", "2")],
            signedHeaders: "host;x-amz-content-sha256;x-amz-date",
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test(arguments: examples)
    func `the published examples come out`(example: Example) throws {
        let server = HTTPServer(isSecure: true, host: "examplebucket.s3.amazonaws.com")
        var request = HTTPRequest(
            method: example.method, server: server, path: example.path, query: example.query, headers: example.headers)
        let credentials = try Credentials(
            accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            source: "test")
        var dayKey: SigV4.DayKey?
        SigV4(region: "us-east-1", service: "s3").sign(
            &request, credentials: credentials, payloadHash: example.payloadHash, at: Self.exampleDate, dayKey: &dayKey)
        let authorization = request.headers.first { $0.name == "authorization" }?.value
        #expect(
            authorization == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                + "SignedHeaders=\(example.signedHeaders),Signature=\(example.signature)")
    }

    @Test func `a key kept from another day or secret is not used`() throws {
        let signer = SigV4(region: "us-east-1", service: "s3")
        func signature(_ secret: String, _ date: Date, _ dayKey: inout SigV4.DayKey?) throws -> String? {
            var request = HTTPRequest(method: .get, server: HTTPServer(isSecure: true, host: "h"), path: "/")
            let credentials = try Credentials(accessKeyID: "A", secretAccessKey: secret, source: "test")
            signer.sign(
                &request, credentials: credentials, payloadHash: Self.emptyHash, at: date, dayKey: &dayKey)
            return request.headers.last?.value
        }
        let nextDay = Self.exampleDate.addingTimeInterval(86_400)
        var kept: SigV4.DayKey?
        for (secret, date) in [("S", Self.exampleDate), ("S", nextDay), ("T", nextDay), ("T", Self.exampleDate)] {
            var fresh: SigV4.DayKey?
            #expect(try signature(secret, date, &kept) == signature(secret, date, &fresh))
        }
    }

    @Test func `headers are sorted by name and their spaces collapsed`() throws {
        var request = HTTPRequest(method: .put, server: HTTPServer(isSecure: false, host: "H", port: 9000), path: "/k")
        request.headers = [("x-amz-meta-run-id", "  a   b "), ("x-amz-meta-run", "1"), ("content-type", "text/csv")]
        request.query = [("uploads", ""), ("partNumber", "2"), ("a b", "c/d"), ("a", "é"), ("a", "b")]
        let (text, names) = SigV4(region: "r", service: "s3").canonicalRequest(request, payloadHash: "UNSIGNED")
        #expect(names == "content-type;host;x-amz-meta-run;x-amz-meta-run-id")
        #expect(
            text == """
                PUT
                /k
                a=%C3%A9&a=b&a%20b=c%2Fd&partNumber=2&uploads=
                content-type:text/csv
                host:h:9000
                x-amz-meta-run:1
                x-amz-meta-run-id:a b

                content-type;host;x-amz-meta-run;x-amz-meta-run-id
                UNSIGNED
                """)
    }

    @Test(arguments: [
        ("dt=2026-01-01/x:y z+ü.csv", "dt%3D2026-01-01/x%3Ay%20z%2B%C3%BC.csv"),
        ("-_.~", "-_.~"), ("a%2Fb", "a%252Fb"), ("(1)'*!&@,;$", "%281%29%27%2A%21%26%40%2C%3B%24"),
    ])
    func `keys are encoded strictly`(key: String, encoded: String) {
        #expect(PercentEncoding.encode(key, keeping: "/") == encoded)
        #expect(PercentEncoding.decode(encoded) == key)
    }

    @Test func `an encoding that is none has no text`() {
        #expect(PercentEncoding.decode("%4") == nil)
        #expect(PercentEncoding.decode("%zz") == nil)
        #expect(PercentEncoding.decode("%ff") == nil)
        #expect(PercentEncoding.decode("a+b") == "a+b")
        #expect(PercentEncoding.decode("a+b", plus: true) == "a b")
    }

    @Test func `a time is written in UTC`() {
        #expect(SigV4.timestamp(Self.exampleDate) == "20130524T000000Z")
        #expect(SigV4.timestamp(Date(timeIntervalSince1970: 1_767_225_599.9)) == "20251231T235959Z")
    }

    // The AWS SDK for Python serialises and signs the same requests; nothing is sent. What it signed is signed here again.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["BDA_TEST_PYTHON"] != nil,
            "BDA_TEST_PYTHON is not set: a python3 with botocore"))
    func `botocore signs the same`() throws {
        let python = try #require(ProcessInfo.processInfo.environment["BDA_TEST_PYTHON"])
        let answers = try Botocore.sign(Botocore.cases, python: python)
        try #require(answers.count == Botocore.cases.count)
        for (wanted, signed) in zip(Botocore.cases, answers) {
            let authorization = try #require(signed.headers["authorization"])
            let names = try #require(authorization.firstMatch(of: /SignedHeaders=([^,]+)/)?.1).split(separator: ";")
            let (server, path, _) = try #require(HTTPServer.split(url: signed.url))
            let bucket = wanted.pathStyle ? "/\(wanted.bucket)" : ""
            var request = HTTPRequest(
                method: try #require(HTTPRequest.Method(rawValue: signed.method)), server: server,
                path: wanted.key.map { "\(bucket)/\(PercentEncoding.encode($0, keeping: "/"))" }
                    ?? (bucket.isEmpty ? "/" : bucket))
            #expect(request.path == path, "\(wanted)")
            request.query = wanted.query
            let added: Set = ["host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"]
            for name in names where !added.contains(String(name)) {
                request.headers.append((String(name), try #require(signed.headers[String(name)])))
            }
            let time = try #require(signed.headers["x-amz-date"])
            let date = try Date(time, strategy: .iso8601.dateSeparator(.omitted).timeSeparator(.omitted))
            let credentials = try Credentials(
                accessKeyID: Botocore.accessKeyID, secretAccessKey: Botocore.secretAccessKey,
                sessionToken: wanted.token, source: "test")
            var dayKey: SigV4.DayKey?
            SigV4(region: Botocore.region, service: "s3").sign(
                &request, credentials: credentials, payloadHash: try #require(signed.headers["x-amz-content-sha256"]),
                at: date, dayKey: &dayKey)
            let ours = try #require(request.headers.first { $0.name == "authorization" }?.value)
            #expect(ours == authorization.replacing(", ", with: ","), "\(wanted)")
        }
    }
}

/// The AWS SDK for Python as a second opinion.
private enum Botocore {
    static let accessKeyID = "AKIDEXAMPLE"
    static let secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    static let region = "eu-central-1"

    struct Case: Encodable {
        let operation: String
        let bucket: String
        var key: String?
        var pathStyle = false
        var token: String?
        var parameters: [String: String] = [:]
        var metadata: [String: String]?
        /// What our query is; botocore makes its own of the parameters.
        var query: [(name: String, value: String)] = []

        enum CodingKeys: String, CodingKey {
            case operation, bucket, key, pathStyle, token, parameters, metadata
        }
    }

    struct Answer: Decodable {
        let method: String
        let url: String
        let headers: [String: String]
    }

    static let cases: [Case] =
        [
            "plain.csv", "dt=2026-01-01/run=01J/part-0001-00001.csv.gz", "a b+c%20d&e?f#g", "ü/日本/🙂",
            "x:y@z,!$'()*;[]{}|^`\"<>\\",
            "~tilde-_.txt",
        ].flatMap { key in
            [
                Case(
                    operation: "put_object", bucket: "buck", key: key, parameters: ["Body": "abc", "IfNoneMatch": "*"]),
                Case(operation: "head_object", bucket: "buck.et", key: key, pathStyle: true, token: "to/ken+=="),
                Case(operation: "get_object", bucket: "buck", key: key, parameters: ["Range": "bytes=0-9"]),
            ]
        } + [
            Case(
                operation: "put_object", bucket: "buck", key: "kms",
                parameters: [
                    "Body": "", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:eu-central-1:1:key/a",
                    "Tagging": "a=b%20c&d=e", "StorageClass": "STANDARD_IA", "ExpectedBucketOwner": "123456789012",
                    "ContentType": "text/csv; charset=utf-8",
                ], metadata: ["run": "1", "run-id": "a  b"]),
            Case(
                operation: "create_multipart_upload", bucket: "buck", key: "a/b",
                parameters: ["ChecksumAlgorithm": "SHA256"], query: [("uploads", "")]),
            Case(
                operation: "abort_multipart_upload", bucket: "buck", key: "a/b", parameters: ["UploadId": "x+y/z=="],
                query: [("uploadId", "x+y/z==")]),
            Case(
                operation: "list_objects_v2", bucket: "buck",
                parameters: ["Prefix": "a/b c+d=é", "ContinuationToken": "1/x+=="],
                query: [
                    ("list-type", "2"), ("prefix", "a/b c+d=é"), ("continuation-token", "1/x+=="),
                    ("encoding-type", "url"),
                ]),
            Case(
                operation: "list_multipart_uploads", bucket: "buck", pathStyle: true, parameters: ["Prefix": "a"],
                query: [("uploads", ""), ("prefix", "a")]),
        ]

    static func sign(_ cases: [Case], python: String) throws -> [Answer] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["-c", script]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(cases))
        try input.fileHandleForWriting.close()
        let answer = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return try JSONDecoder().decode([Answer].self, from: answer)
    }

    private static let script = """
        from json import dump, load
        from sys import stdin, stdout
        from botocore.config import Config
        from botocore.session import get_session

        class Stop(Exception):
            pass

        answers = []
        def capture(request, **_):
            text = lambda value: value if isinstance(value, str) else value.decode()
            headers = {name.lower(): text(value) for name, value in request.headers.items()}
            answers.append(dict(method=request.method, url=request.url, headers=headers))
            raise Stop

        for case in load(stdin):
            client = get_session().create_client(
                "s3", region_name="\(region)", aws_access_key_id="\(accessKeyID)",
                aws_secret_access_key="\(secretAccessKey)", aws_session_token=case.get("token"),
                config=Config(s3={"addressing_style": "path" if case["pathStyle"] else "virtual"},
                              request_checksum_calculation="when_required",
                              response_checksum_validation="when_required"))
            client.meta.events.register("before-send.s3", capture)
            parameters = dict(case["parameters"], Bucket=case["bucket"])
            if case.get("key") is not None: parameters["Key"] = case["key"]
            if case.get("metadata"): parameters["Metadata"] = case["metadata"]
            try: getattr(client, case["operation"])(**parameters)
            except Stop: pass
        dump(answers, stdout)
        """
}

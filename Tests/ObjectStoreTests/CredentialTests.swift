import BlockingIO
import Foundation
import TestSupport
import Testing

@testable import ObjectStore

@Suite(.timeLimit(.minutes(1))) struct CredentialTests {
    static let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

    // MARK: environment

    @Test func `the environment comes first`() async throws {
        let found = try await Self.load([
            "AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": Self.secret + "\n", "AWS_SESSION_TOKEN": "T",
            "AWS_PROFILE": "nobody",
        ])
        #expect(found.accessKeyID == "ID")
        #expect(found.secretAccessKey == Self.secret)
        #expect(found.sessionToken == "T")
        #expect(found.expiration == nil)
    }

    @Test(arguments: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    func `half a key is an error`(name: String) async {
        await expect(.credentials) { _ = try await Self.load([name: "value"]) }
    }

    @Test func `a key that cannot stand in a header is refused without being shown`() async throws {
        let error = await expect(.credentials) {
            _ = try await Self.load(["AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "SECRET\r\nx-evil: 1"])
        }
        #expect(error?.description.contains("SECRET\r") == false)
    }

    @Test func `credentials and their settings print no secret`() throws {
        let credentials = try Credentials(
            accessKeyID: "ID", secretAccessKey: Self.secret, sessionToken: "TOKENTOKEN", source: "test")
        let settings = CredentialSettings(environment: ["AWS_SECRET_ACCESS_KEY": Self.secret], region: "r")
        var dumped = ""
        dump(credentials, to: &dumped)
        dump(settings, to: &dumped)
        for text in [
            "\(credentials)", String(reflecting: credentials), "\(settings)", String(reflecting: settings), dumped,
        ] {
            #expect(!text.contains(Self.secret) && !text.contains("TOKENTOKEN"), "\(text.count) characters")
        }
    }

    @Test func `without any source the error says where it looked`() async {
        let error = await expect(.credentials) { _ = try await Self.load([:]) }
        #expect(
            error?.reason
                == "no credentials were found; sources: environment, web identity, profile, container, instance")
        #expect(error?.hint?.contains("AWS_ACCESS_KEY_ID") == true)
    }

    // MARK: profiles

    @Test func `a profile is read from both files`() async throws {
        let folder = try Folder()
        let credentials = try folder.write(
            "credentials",
            """
            # comment
            [default]
            aws_access_key_id = DEFAULT
            aws_secret_access_key = s#ecret ; comment
            s3 =
              aws_access_key_id = nested
            [ work ]
            aws_access_key_id=WORK
            aws_secret_access_key=abc=def
            aws_session_token = token
            """)
        let config = try folder.write(
            "config",
            """
            [profile work]
            region = eu-central-1
            aws_access_key_id = FROMCONFIG
            [profile only]
            AWS_ACCESS_KEY_ID = ONLY
            aws_secret_access_key = x
            """)
        var environment = ["AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_CONFIG_FILE": config]
        let first = try await Self.load(environment)
        #expect(first.accessKeyID == "DEFAULT" && first.secretAccessKey == "s#ecret")
        environment["AWS_PROFILE"] = "work"
        let work = try await Self.load(environment)
        #expect(work.accessKeyID == "WORK" && work.secretAccessKey == "abc=def" && work.sessionToken == "token")
        environment["AWS_PROFILE"] = "only"
        #expect(try await Self.load(environment).accessKeyID == "ONLY")
        environment["AWS_PROFILE"] = "missing"
        let error = await expect(.credentials) { _ = try await Self.load(environment) }
        #expect(error?.hint == "check AWS_PROFILE")
    }

    @Test func `the files lie in the home directory`() async throws {
        let folder = try Folder()
        try FileManager.default.createDirectory(atPath: folder.path + "/.aws", withIntermediateDirectories: false)
        _ = try folder.write(".aws/credentials", "[default]\naws_access_key_id=HOME\naws_secret_access_key=s\n")
        #expect(try await Self.load(["HOME": folder.path]).accessKeyID == "HOME")
    }

    @Test(arguments: ["role_arn = arn:aws:iam::1:role/r", "credential_process = /bin/true", "sso_session = s"])
    func `a profile that needs more is refused by name`(line: String) async throws {
        let folder = try Folder()
        let config = try folder.write("config", "[profile x]\n\(line)\nsource_profile = default\n")
        let error = await expect(.credentials) {
            _ = try await Self.load(["AWS_CONFIG_FILE": config, "AWS_PROFILE": "x", "HOME": folder.path])
        }
        #expect(error?.reason.contains(line.prefix { $0 != " " }) == true)
    }

    // MARK: web identity

    private static let assumed = """
        <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
          <AssumeRoleWithWebIdentityResult>
            <Credentials><SessionToken>TOKEN</SessionToken><SecretAccessKey>SECRET</SecretAccessKey>
              <Expiration>2030-01-02T03:04:05Z</Expiration><AccessKeyId>ASIA</AccessKeyId></Credentials>
          </AssumeRoleWithWebIdentityResult>
        </AssumeRoleWithWebIdentityResponse>
        """

    @Test func `a token file is exchanged for a role`() async throws {
        let server = try FaultServer { _ in .answer(200, body: Self.assumed) }
        let folder = try Folder()
        let file = try folder.write("token", "first.token=\n")
        let environment = [
            "AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ROLE_ARN": "arn:aws:iam::1:role/worker",
            "AWS_ROLE_SESSION_NAME": "bda", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:\(server.port)",
        ]
        let found = try await Self.load(environment)
        #expect(found.accessKeyID == "ASIA" && found.secretAccessKey == "SECRET" && found.sessionToken == "TOKEN")
        #expect(found.expiration == Date(timeIntervalSince1970: 1_893_553_445))
        let request = try #require(server.requests.first)
        #expect(request.headers["authorization"] == nil)
        #expect(request.headers["content-type"] == "application/x-www-form-urlencoded")
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fworker"
                + "&RoleSessionName=bda&WebIdentityToken=first.token%3D")
        // The platform replaces the file while we run.
        _ = try folder.write("token", "second")
        _ = try await Self.load(environment)
        #expect(String(decoding: server.requests[1].body, as: UTF8.self).hasSuffix("WebIdentityToken=second"))
    }

    @Test(.enabled(if: TestObjectStore.runs(.moto), TestObjectStore.reason))
    func `a role that a real service gave opens its store`() async throws {
        let place = try TestObjectStore(.moto)
        let folder = try Folder()
        let store = try place.open([
            "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
            "AWS_WEB_IDENTITY_TOKEN_FILE": try folder.write("token", "token"),
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/worker",
            "AWS_ENDPOINT_URL_STS": try #require(place.environment["BDA_S3_ENDPOINT"]),
        ])
        _ = try await store.put("a", bytes: [1], options: WriteOptions(contentType: "text/csv"))
        #expect(try await store.list(prefix: "").map(\.key) == ["a"])
        try await place.remove()
    }

    @Test func `what STS refuses is told, without the token`() async throws {
        let server = try FaultServer { _ in
            .answer(
                400,
                body: "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>No provider</Message></Error>"
                    + "</ErrorResponse>")
        }
        let folder = try Folder()
        let error = await expect(.credentials) {
            _ = try await Self.load([
                "AWS_WEB_IDENTITY_TOKEN_FILE": try folder.write("token", "VERYSECRET"), "AWS_ROLE_ARN": "arn",
                "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:\(server.port)",
            ])
        }
        #expect(error?.s3Code == "InvalidIdentityToken")
        #expect(error?.isRetryable == false)
        #expect(error?.description.contains("No provider") == true)
        #expect(error?.description.contains("VERYSECRET") == false)
    }

    @Test func `a token file that is not there can come yet`() async {
        let error = await expect(.credentials) {
            _ = try await Self.load(["AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token", "AWS_ROLE_ARN": "arn"])
        }
        #expect(error?.isRetryable == true)
    }

    // MARK: container

    static func document(_ id: String, _ expiration: String = "2030-01-02T03:04:05Z") -> String {
        #"{"Code":"Success","AccessKeyId":"\#(id)","SecretAccessKey":"S","Token":"T","Expiration":"\#(expiration)"}"#
    }

    @Test func `a container's agent is asked with the token of the file`() async throws {
        let server = try FaultServer { _ in .answer(200, body: Self.document("ECS", "2030-01-02T03:04:05.678Z")) }
        let folder = try Folder()
        let environment = [
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:\(server.port)/v1/credentials?a=b",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not this one",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": try folder.write("token", "Bearer one\n"),
        ]
        let found = try await Self.load(environment)
        #expect(found.accessKeyID == "ECS" && found.sessionToken == "T")
        #expect(found.expiration == Date(timeIntervalSince1970: 1_893_553_445))
        _ = try folder.write("token", "Bearer two\n")
        _ = try await Self.load(environment)
        #expect(server.requests.map { $0.headers["authorization"] } == ["Bearer one", "Bearer two"])
        #expect(server.requests.map(\.target) == ["/v1/credentials?a=b", "/v1/credentials?a=b"])
    }

    @Test func `a container's agent is asked again when it is busy`() async throws {
        let answers = Answers([.answer(500), .answer(200, body: Self.document("ECS"))])
        let server = try FaultServer(answers.next)
        let found = try await Self.load([
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:\(server.port)/"
        ])
        #expect(found.accessKeyID == "ECS")
    }

    @Test(arguments: [
        "http://example.com/creds", "http://10.0.0.1/creds", "http://169.254.170.99/", "ftp://127.0.0.1/",
    ])
    func `no token goes to a host that is not an agent`(url: String) async {
        let error = await expect(.credentials) {
            _ = try await Self.load([
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "VERYSECRET",
            ])
        }
        #expect(error?.hint?.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI") == true)
        #expect(error?.description.contains("VERYSECRET") == false)
    }

    // MARK: instance

    @Test func `an instance's role is found with a session token`() async throws {
        let server = try FaultServer { request in
            switch (request.method, request.target) {
            case ("PUT", "/latest/api/token"):
                request.headers["x-amz-ec2-metadata-token-ttl-seconds"] == "21600"
                    ? .answer(200, body: "SESSION") : .answer(400)
            case _ where request.headers["x-aws-ec2-metadata-token"] != "SESSION": .answer(401)
            case ("GET", "/latest/meta-data/iam/security-credentials/"): .answer(200, body: "my role\n")
            case ("GET", "/latest/meta-data/iam/security-credentials/my%20role"):
                .answer(200, body: Self.document("EC2"))
            default: .answer(404)
            }
        }
        let found = try await Self.load([
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(server.port)/",
            "AWS_EC2_METADATA_DISABLED": "false",
        ])
        #expect(found.accessKeyID == "EC2")
        #expect(server.requests.count == 3)
    }

    @Test func `an instance without a role has no credentials`() async throws {
        let server = try FaultServer { $0.method == "PUT" ? .answer(200, body: "SESSION") : .answer(404) }
        let error = await expect(.credentials) {
            _ = try await Self.load([
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(server.port)",
                "AWS_EC2_METADATA_DISABLED": "false",
            ])
        }
        #expect(error?.reason.hasPrefix("no credentials were found") == true)
    }

    // MARK: support

    /// Runs the whole chain in a given environment, with the instance's metadata off unless it is asked for.
    static func load(_ environment: [String: String]) async throws -> Credentials {
        let defaults = ["HOME": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true"]
        let settings = CredentialSettings(
            environment: defaults.merging(environment) { _, new in new }, region: "eu-central-1")
        return try await CredentialProvider(sources: settings.sources(CurlPool(size: 1, caFile: nil))).credentials()
    }
}

/// A temporary directory, removed with the object.
final class Folder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("bda-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }
}

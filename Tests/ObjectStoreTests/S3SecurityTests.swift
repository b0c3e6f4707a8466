import ObjectStore
import TestSupport
import Testing

/// SeaweedFS behind TLS, with a certificate for `localhost` that the test run made.
@Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: TestObjectStore.runs(.s3) && TestCertificates.areAvailable, TestObjectStore.reason))
struct S3SecurityTests {
    private static func settings(host: String = "localhost", authority: String?) throws -> [String: String] {
        [
            "BDA_S3_ENDPOINT": try TestObjectStore.secureEndpoint().replacing("localhost", with: host),
            "AWS_CA_BUNDLE": authority.map { TestCertificates.path($0) } ?? "",
        ]
    }

    @Test func `objects go both ways when the authority is known`() async throws {
        try await TestObjectStore.with(.s3, try Self.settings(authority: "ca.pem")) { store in
            try await store.check()
            _ = try await store.put("a", bytes: [1, 2, 3], options: WriteOptions(contentType: "text/csv"))
            #expect(try await store.get("a", limit: 3)?.bytes == [1, 2, 3])
        }
    }

    @Test func `an expired certificate is refused`() async throws {
        let server = try TLSServer(certificateWithKey: TestCertificates.path("expired-with-key.pem"))
        let settings = try Self.settings(authority: "ca.pem").merging([
            "BDA_S3_ENDPOINT": "https://localhost:\(server.port)"
        ]) { $1 }
        let store = try TestObjectStore(.s3).open(settings)
        let error = await expect(.tls) { try await store.check() }
        #expect(error?.reason.contains("expired") == true)
        #expect(error?.hint?.contains("renewed") == true)
    }

    @Test(arguments: [
        ("localhost", nil, "AWS_CA_BUNDLE"), ("localhost", "stranger-ca.pem", "AWS_CA_BUNDLE"),
        ("127.0.0.1", "ca.pem", "BDA_S3_ENDPOINT"),
    ])
    func `strangers and wrong names are refused`(host: String, authority: String?, setting: String) async throws {
        let place = try TestObjectStore(.s3)
        let store = try place.open(try Self.settings(host: host, authority: authority))
        let error = await expect(.tls) { try await store.check() }
        #expect(error?.isRetryable == false)
        #expect(error?.hint?.contains(setting) == true, "\(error?.hint ?? "")")
        let write = await expect(.tls) {
            _ = try await store.put("a", bytes: [1], options: WriteOptions(contentType: "text/csv"))
        }
        #expect(write?.description.contains("testsecret") == false)
        #expect(try await place.open().head("a") == nil)
    }
}

import Foundation
package import ObjectStore
import Settings
package import Testing

/// A store for tests: a directory, or a prefix of a real S3 server's bucket, of one test's own.
///
/// | variable | meaning |
/// | --- | --- |
/// | `BDA_TEST_S3` | endpoint of an S3 server that checks signatures (SeaweedFS) |
/// | `BDA_TEST_S3_TLS` | its endpoint with TLS |
/// | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `BDA_TEST_S3_BUCKET` | its keys and bucket |
/// | `BDA_TEST_MOTO` | endpoint of moto's server |
/// | `BDA_TEST_REQUIRE_S3=1` | fail where a test would be skipped for want of them |
package struct TestObjectStore: Sendable, CustomTestStringConvertible {
    /// What kinds of stores there are.
    package enum Kind: String, Sendable, CaseIterable {
        /// A directory below the temporary one.
        case files
        /// `BDA_TEST_S3`.
        case s3
        /// `BDA_TEST_MOTO`.
        case moto
    }

    /// Which store it is.
    package let kind: Kind
    /// The `BDA_…` and `AWS_…` variables that lead to it, for programs that are started.
    package let environment: [String: String]

    /// The kind's name.
    package var testDescription: String { kind.rawValue }

    /// What can be used here; files always.
    package static let available = Kind.allCases.filter { kind in
        switch kind {
        case .files: true
        case .s3: variables["BDA_TEST_S3"] != nil
        case .moto: variables["BDA_TEST_MOTO"] != nil
        }
    }

    /// Whether a test that needs an S3 server runs. When it is to fail rather than be skipped, it runs in any case.
    package static func runs(_ kind: Kind) -> Bool {
        available.contains(kind) || variables["BDA_TEST_REQUIRE_S3"] == "1"
    }

    /// Why a test was skipped.
    package static let reason: Comment =
        "BDA_TEST_S3 or BDA_TEST_MOTO is not set: scripts/dev/test.sh starts the servers"

    private static var variables: [String: String] { ProcessInfo.processInfo.environment }

    /// A place that nobody else uses.
    package init(_ kind: Kind) throws {
        self.kind = kind
        let name = UUID().uuidString.lowercased()
        switch kind {
        case .files:
            let directory = FileManager.default.temporaryDirectory.appendingPathComponent("bda-store-\(name)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            environment = ["BDA_OUTPUT": "file://\(directory.path)"]
        case .s3, .moto:
            let variable = kind == .s3 ? "BDA_TEST_S3" : "BDA_TEST_MOTO"
            let endpoint = try #require(Self.variables[variable], "\(variable) is not set")
            let bucket = Self.variables["BDA_TEST_S3_BUCKET"] ?? "bda-test"
            environment = [
                "BDA_OUTPUT": "s3://\(bucket)/test-\(name)", "BDA_S3_ENDPOINT": endpoint, "BDA_S3_PATH_STYLE": "true",
                "AWS_ACCESS_KEY_ID": Self.variables["AWS_ACCESS_KEY_ID"] ?? "testkey",
                "AWS_SECRET_ACCESS_KEY": Self.variables["AWS_SECRET_ACCESS_KEY"] ?? "testsecret",
            ]
            // moto begins without buckets, takes unsigned requests, and does not mind a bucket that is there.
            if kind == .moto { try Self.createBucket(endpoint: endpoint, bucket: bucket) }
        }
    }

    /// `https://localhost:port` of the S3 server, whose certificate `TestCertificates` knows.
    package static func secureEndpoint() throws -> String {
        try #require(variables["BDA_TEST_S3_TLS"], "BDA_TEST_S3_TLS is not set")
    }

    /// Opens the store, with other or more settings if need be.
    package func open(_ changes: [String: String] = [:], connections: Int = 4) throws -> any ObjectStore {
        let environment = environment.merging(changes) { _, new in new }
        var settings = SettingsReader(
            environment: environment, catalogue: SettingCatalogue(ObjectStoreSetting.section))
        let configuration = ObjectStoreConfiguration(settings: &settings, environment: environment)
        try settings.finish()
        return try configuration.open(connections: connections)
    }

    /// The directory of a `files` store.
    package var directory: String { String((environment["BDA_OUTPUT"] ?? "").dropFirst("file://".count)) }

    /// Removes everything from the place.
    package func remove() async throws {
        if kind == .files { return try FileManager.default.removeItem(atPath: directory) }
        let store = try open()
        for upload in try await store.pendingUploads(prefix: "") { try await store.abort(upload) }
        for object in try await store.list(prefix: "") { try await store.delete(object.key) }
    }

    /// Runs a test with a store of its own and removes what it left.
    package static func with(
        _ kind: Kind, _ changes: [String: String] = [:], _ body: (any ObjectStore) async throws -> Void
    ) async throws {
        let place = try TestObjectStore(kind)
        do {
            try await body(place.open(changes))
        } catch {
            try? await place.remove()
            throw error
        }
        try await place.remove()
    }

    private static func createBucket(endpoint: String, bucket: String) throws {
        let url = try #require(URLComponents(string: endpoint))
        let port = try #require(url.port)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(client) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr(url.host ?? "")
        let connected = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0, "nothing answers at BDA_TEST_MOTO, which needs an IPv4 address")
        let request = Array(
            "PUT /\(bucket) HTTP/1.0\r\nHost: \(url.host ?? ""):\(port)\r\nContent-Length: 0\r\n\r\n".utf8)
        try #require(send(client, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
        var reply = [UInt8](repeating: 0, count: 12)
        let count = recv(client, &reply, reply.count, Int32(MSG_WAITALL))
        let status = String(decoding: reply.prefix(max(count, 0)), as: UTF8.self)
        // 409: another test was first.
        try #require(status.hasSuffix(" 200") || status.hasSuffix(" 409"), "moto answers '\(status)'")
    }
}

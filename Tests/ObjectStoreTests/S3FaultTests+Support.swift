import BlockingIO
import Bytes
import Foundation
import ObjectStore
import Settings
import Testing
import Timing

extension S3FaultTests {
    static let created =
        "<?xml version=\"1.0\"?>\n<InitiateMultipartUploadResult><UploadId>U+1</UploadId></InitiateMultipartUploadResult>"

    static func completed(_ etag: String) -> String {
        "<CompleteMultipartUploadResult><ETag>\(etag)</ETag></CompleteMultipartUploadResult>"
    }

    static func fault(_ code: String, _ message: String = "no") -> String {
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>\(code)</Code><Message>\(message)</Message></Error>"
    }

    static func environment(_ endpoint: String) -> [String: String] {
        [
            "BDA_OUTPUT": "s3://bucket/p", "BDA_S3_ENDPOINT": endpoint, "BDA_S3_PATH_STYLE": "true",
            "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true",
        ]
    }

    static func store(
        _ environment: [String: String], connections: Int = 4,
        retry: RetryPolicy = RetryPolicy(attempts: 5, base: .milliseconds(1), maximum: .milliseconds(20)),
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws -> any ObjectStore {
        var settings = SettingsReader(
            environment: environment, catalogue: SettingCatalogue(ObjectStoreSetting.section))
        let configuration = ObjectStoreConfiguration(settings: &settings, environment: environment)
        try settings.finish()
        return try configuration.open(connections: connections, retry: retry, onRetry: onRetry)
    }

    static func store(
        endpoint: String, onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws -> any ObjectStore {
        try store(environment(endpoint), onRetry: onRetry)
    }

    static func store(
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

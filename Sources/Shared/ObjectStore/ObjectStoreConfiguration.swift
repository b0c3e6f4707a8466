import Metrics
package import Settings
package import Timing

/// The store of a program: the settings of `ObjectStoreSetting`. Those of S3 are read for `s3://` only.
package enum ObjectStoreConfiguration: Sendable {
    /// A directory of this machine, by its absolute path.
    case files(directory: String)
    case s3(S3Configuration)

    /// Reads the settings; problems are recorded in `settings`. `environment` is the process environment, for the
    /// `AWS_…` variables.
    package init(settings: inout SettingsReader, environment: [String: String]) {
        let output = settings[ObjectStoreSetting.output] ?? "s3://\(Self.bucket(&settings))"
        if output.hasPrefix("file://") {
            let path = PercentEncoding.decode(String(output.dropFirst("file://".count)))
            if path?.first != "/" {
                settings.refuse(
                    ObjectStoreSetting.output.name, problem: "'\(output)' is not file:// and an absolute path",
                    hint: "file:///directory")
            }
            self = .files(directory: path ?? "/")
        } else {
            let place = output.dropFirst("s3://".count).split(separator: "/", maxSplits: 1).map(String.init)
            self = .s3(
                S3Configuration(
                    bucket: place.first ?? "", prefix: place.count > 1 ? place[1] : "", settings: &settings,
                    environment: environment))
        }
    }

    /// `BDA_S3_BUCKET`, which is required if `BDA_OUTPUT` is not set.
    private static func bucket(_ settings: inout SettingsReader) -> String {
        if let bucket = settings[ObjectStoreSetting.bucket] { return bucket }
        settings.requireValue(of: ObjectStoreSetting.bucket)
        return ""
    }

    /// The value of `BDA_OUTPUT` for this store.
    package var uri: String {
        switch self {
        case .files(let directory): "file://\(PercentEncoding.encode(directory, keeping: "/"))"
        case .s3(let configuration):
            "s3://\(configuration.bucket)" + (configuration.prefix.isEmpty ? "" : "/\(configuration.prefix)")
        }
    }

    /// Creates the store without sending a request (see `check`). A store is created once per process.
    ///
    /// - Parameters:
    ///   - connections: the maximum number of simultaneous requests to S3, each with a thread of its own; at least one for each
    ///     piece that is sent at the same time, and one more. Not used for files.
    ///   - retry: the policy for requests that may succeed later. Not used for files.
    ///   - onRetry: called for each failed try that is going to be repeated, with the delay; for logs and metrics.
    package func open(
        connections: Int = 4, retry: RetryPolicy = .objectStore,
        onRetry: @escaping @Sendable (ObjectStoreError, Duration) -> Void = { _, _ in }
    ) throws(ObjectStoreError) -> any ObjectStore {
        switch self {
        case .files(let directory):
            try FileObjectStore(directory: directory)
        case .s3(let configuration):
            try S3ObjectStore(configuration, connections: connections, retry: retry, onRetry: onRetry)
        }
    }
}

extension RetryPolicy {
    /// Five tries with up to 1, 2, 4 and 8 seconds in between: the AWS SDKs' standard mode with two more tries, because
    /// for a batch job a delay is better than a failure.
    package static let objectStore = RetryPolicy(attempts: 5, base: .seconds(1), maximum: .seconds(20))
}

package import CommandLineOptions

/// The failure of a store's operation.
package struct ObjectStoreError: ErrorWithExitCode, Sendable, Hashable, CustomStringConvertible {
    /// The classes of failure; a closed set, fit for a metric's dimension.
    package enum Kind: String, Sendable, CaseIterable {
        /// The key breaks the rules for keys.
        case invalidKey = "invalid_key"
        /// The bucket or directory does not exist.
        case noSuchPlace = "no_such_place"
        /// The credentials are valid, but have no right to the operation.
        case accessDenied = "access_denied"
        /// No credentials were found, or the store refuses them.
        case credentials
        /// Another object has the key, or the object was replaced or deleted.
        case preconditionFailed = "precondition_failed"
        /// Two writers collided; the write must begin again.
        case conflict
        /// The store limits the rate of requests.
        case throttled
        /// The store has an internal error (5xx).
        case storeFault = "store_fault"
        /// No connection: host name unknown, refused, no route.
        case unreachable
        /// The connection broke or stalled.
        case interrupted
        /// The TLS handshake failed, on either side.
        case tls
        /// The bucket lies in another region.
        case wrongRegion = "wrong_region"
        /// The clocks of this machine and the store differ by more than the store allows.
        case clockSkew = "clock_skew"
        /// Size or checksum differ from those of the bytes sent.
        case integrity
        /// The object exceeds the caller's limit.
        case tooLarge = "too_large"
        /// The device is full, or the quota is exceeded.
        case noSpace = "no_space"
        /// An error of the file system.
        case fileSystem = "file_system"
        /// The store does not support the request.
        case unsupported
        /// The store refuses the request for another reason.
        case refused
        /// The answer is not valid.
        case badReply = "bad_reply"
    }

    package let kind: Kind
    /// The operation: `put`, `head`, `complete`, ….
    package let operation: String
    /// The address of the object or bucket.
    package let subject: String
    /// The cause, in the text of the server or library that reported it.
    package let reason: String
    /// What the operator can do, with the name of the setting.
    package internal(set) var hint: String?
    /// Whether the same request may succeed later. The store itself has already retried.
    package internal(set) var isRetryable: Bool

    /// Whether the credentials have expired. They may be renewed at any moment, and another process may have newer
    /// ones.
    package var isExpiredSession: Bool {
        ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"].contains(s3Code)
    }

    /// A refusal that lasts until an administrator changes settings, rights or the bucket is an error of usage; an
    /// object with unexpected content fails the job. Another start of the program would end in the same way.
    package var exitCode: ExitCode {
        if isRetryable || isExpiredSession { return .storeUnavailable }
        return switch kind {
        case .preconditionFailed, .conflict, .integrity, .tooLarge, .badReply, .fileSystem: .jobFailed
        case .unreachable, .interrupted, .throttled, .storeFault, .noSpace, .clockSkew: .storeUnavailable
        case .invalidKey, .noSuchPlace, .accessDenied, .credentials, .tls, .wrongRegion, .unsupported, .refused:
            .usage
        }
    }

    /// The number of tries, if more than one.
    package internal(set) var attempts: Int?
    /// The HTTP status of the answer.
    package internal(set) var status: Int?
    /// S3's own code, such as `NoSuchBucket`.
    package internal(set) var s3Code: String?
    /// S3's id of the request, for the operators of the store.
    package internal(set) var requestID: String?
    /// The `CURLcode`.
    package internal(set) var curlCode: Int?
    /// The `errno`.
    package internal(set) var systemError: Int32?

    /// Neither argument may hold a secret.
    package init(
        _ kind: Kind, _ operation: String, _ subject: String, reason: String, isRetryable: Bool = false,
        hint: String? = nil
    ) {
        self.kind = kind
        self.operation = operation
        self.subject = subject
        self.reason = reason
        self.hint = hint
        self.isRetryable = isRetryable
    }

    /// Holds no credentials and no content.
    package var description: String {
        var details: [String] = []
        if let s3Code { details.append(s3Code) }
        if let status { details.append("HTTP \(status)") }
        if let curlCode { details.append("curl \(curlCode)") }
        if let systemError { details.append("errno \(systemError)") }
        if let requestID { details.append("request \(requestID)") }
        if let attempts { details.append("\(attempts) tries") }
        let suffix = details.isEmpty ? "" : " (\(details.joined(separator: ", ")))"
        return "unable to \(operation) '\(subject)': \(reason)\(suffix)"
    }
}

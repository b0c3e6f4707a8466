package import CommandLineOptions

/// Why a store could not do what it was asked.
package struct ObjectStoreError: ErrorWithExitCode, Sendable, Hashable, CustomStringConvertible {
    /// The classes of failure; a closed set, fit for a metric's label.
    package enum Kind: String, Sendable, CaseIterable {
        /// The key breaks the rules for keys.
        case invalidKey = "invalid_key"
        /// The bucket or directory does not exist.
        case noSuchPlace = "no_such_place"
        /// The store knows these credentials, and they have no right to do this.
        case accessDenied = "access_denied"
        /// No credentials were found, or the store does not take them.
        case credentials
        /// The key is taken by other content, or the object was replaced or deleted.
        case preconditionFailed = "precondition_failed"
        /// Two writers met; the write has to be done again from the start.
        case conflict
        /// The store asks for fewer requests.
        case throttled
        /// The store has a fault of its own (5xx).
        case storeFault = "store_fault"
        /// No connection: name not found, refused, no route.
        case unreachable
        /// The connection broke or stood still.
        case interrupted
        /// The secure connection was refused, by us or by the store.
        case tls
        /// The bucket lies in another region.
        case wrongRegion = "wrong_region"
        /// Our clock and the store's differ by more than it allows.
        case clockSkew = "clock_skew"
        /// Size or checksum are not what was sent.
        case integrity
        /// The object is longer than the caller takes.
        case tooLarge = "too_large"
        /// No room left on the device, or over quota.
        case noSpace = "no_space"
        /// A fault of the file system.
        case fileSystem = "file_system"
        /// The store does not know the request.
        case unsupported
        /// The store refuses the request for another reason.
        case refused
        /// The answer makes no sense.
        case badReply = "bad_reply"
    }

    /// The class of failure.
    package let kind: Kind
    /// What was asked for: `put`, `head`, `complete`, ….
    package let operation: String
    /// On what: an object's or a bucket's address.
    package let subject: String
    /// The cause, in the words of the server or library that reported it.
    package let reason: String
    /// What to do about it, naming the setting to look at.
    package internal(set) var hint: String?
    /// Whether the same request may succeed later. The store itself has tried several times already.
    package internal(set) var isRetryable: Bool

    /// The credentials have expired. They may be renewed at any moment, and another process may have newer ones.
    package var isExpiredSession: Bool {
        ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"].contains(s3Code)
    }

    /// A refusal that holds until an administrator changes settings, rights or the bucket is an error of usage; an object
    /// that is not what it should be fails the job. No later start of the program would end otherwise.
    package var exitCode: ExitCode {
        if isRetryable || isExpiredSession { return .storeUnavailable }
        return switch kind {
        case .preconditionFailed, .conflict, .integrity, .tooLarge, .badReply, .fileSystem: .jobFailed
        case .unreachable, .interrupted, .throttled, .storeFault, .noSpace, .clockSkew: .storeUnavailable
        case .invalidKey, .noSuchPlace, .accessDenied, .credentials, .tls, .wrongRegion, .unsupported, .refused:
            .usage
        }
    }

    /// How often the store tried, when more than once.
    package internal(set) var attempts: Int?
    /// The HTTP status of the answer.
    package internal(set) var status: Int?
    /// S3's own code, such as `NoSuchBucket`.
    package internal(set) var s3Code: String?
    /// S3's number for the request, which its operators ask for.
    package internal(set) var requestID: String?
    /// The `CURLcode`.
    package internal(set) var curlCode: Int?
    /// The `errno`.
    package internal(set) var systemError: Int32?

    /// A failure of `operation` on `subject`; neither they nor `reason` and `hint` may hold a secret.
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

    /// What failed, on what and why. Holds no credentials and no content.
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

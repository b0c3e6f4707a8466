import BlockingIO
import Foundation

/// An AWS access key. A description shows no secrets.
struct Credentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let accessKeyID: String
    let secretAccessKey: String
    let sessionToken: String?
    let expiration: Date?
    /// The source in error texts.
    let source: String

    /// Removes white space at the ends, such as a file's last newline. Throws for any other character that is not
    /// allowed in a header.
    init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, expiration: Date? = nil,
        source: String
    ) throws(ObjectStoreError) {
        func clean(_ text: String, _ name: String) throws(ObjectStoreError) -> String {
            let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
            guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw .credentials(source, "the \(name) is empty or has characters that no \(name) has")
            }
            return text
        }
        self.accessKeyID = try clean(accessKeyID, "access key id")
        self.secretAccessKey = try clean(secretAccessKey, "secret access key")
        if let token = sessionToken, !token.isEmpty {
            self.sessionToken = try clean(token, "session token")
        } else {
            self.sessionToken = nil
        }
        self.expiration = expiration
        self.source = source
    }

    var description: String { "credentials from \(source)" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: ["source": source]) }
}

/// One place that credentials are read from.
protocol CredentialSource: Sendable {
    /// The name in error texts.
    var name: String { get }
    /// The credentials; nil if this source is not configured. Throws if it is configured without usable credentials.
    func load() async throws -> Credentials?
}

/// The credentials of the first source that has any, loaded again before they expire.
final class CredentialProvider: Sendable {
    private struct State {
        var current: Credentials?
        var source: (any CredentialSource)?
        /// The time of the next load.
        var refreshAt = Date.distantPast
    }

    private let sources: [any CredentialSource]
    private let now: @Sendable () -> Date
    private let state = Mutex(State())
    private let flight = SingleFlight<Credentials>()

    init(sources: [any CredentialSource], now: @escaping @Sendable () -> Date = { Date() }) {
        self.sources = sources
        self.now = now
    }

    /// Credentials that are valid for at least some minutes.
    func credentials() async throws -> Credentials {
        let now = now()
        let (current, isDue) = state.withLock { ($0.current, $0.refreshAt <= now) }
        if let current, !isDue { return current }
        do {
            return try await flight.run { try await self.load() }
        } catch let error as ObjectStoreError {
            // The refresh begins early, so that an outage of the service for some minutes does no harm.
            if let current, let expiration = current.expiration, expiration > now.addingTimeInterval(60) {
                state.withLock { $0.refreshAt = now.addingTimeInterval(60) }
                return current
            }
            throw error
        }
    }

    /// Loads credentials again after the store refused `refused` as expired or unknown, because a file may hold other
    /// ones now. Returns whether they differ; also false if none can be loaded at the moment.
    func replace(_ refused: Credentials) async throws -> Bool {
        let current = state.withLock { $0.current }
        if let current, current != refused { return true }
        do {
            return try await flight.run { try await self.load() } != refused
        } catch is ObjectStoreError {
            return false
        }
    }

    private func load() async throws -> Credentials {
        let pinned = state.withLock { $0.source }
        for source in pinned.map({ [$0] }) ?? sources {
            guard let credentials = try await source.load() else { continue }
            let now = now()
            state.withLock { state in
                state.current = credentials
                state.source = source
                // 15 minutes ahead as the AWS SDKs do, but not with every request if the lifetime is about that long.
                state.refreshAt =
                    credentials.expiration.map { max($0.addingTimeInterval(-15 * 60), now.addingTimeInterval(60)) }
                    ?? .distantFuture
            }
            return credentials
        }
        let tried = sources.map(\.name).joined(separator: ", ")
        throw ObjectStoreError.credentials(
            "AWS", "no credentials were found; sources: \(tried)",
            hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the pod or instance a role")
    }
}

extension ObjectStoreError {
    /// An error of the source `source`.
    static func credentials(
        _ source: String, _ reason: String, isRetryable: Bool = false, hint: String? = nil
    ) -> ObjectStoreError {
        ObjectStoreError(
            .credentials, "get credentials from", source, reason: reason, isRetryable: isRetryable, hint: hint)
    }
}

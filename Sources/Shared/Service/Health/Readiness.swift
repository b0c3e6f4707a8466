import BlockingIO

/// What must hold before work should be sent to this process, as named conditions: `database`, `kafka` ...
///
/// May be used from any thread.
public final class Readiness: Sendable {
    /// A condition that does not hold.
    public struct Unmet: Sendable, Hashable, CustomStringConvertible {
        /// The condition's name.
        public let name: String
        /// Why it does not hold.
        public let reason: String
        /// `name: reason`
        public var description: String { "\(name): \(reason)" }
    }

    private let reasons: Mutex<[String: String]>

    /// None of the conditions holds yet.
    public init(_ conditions: [String]) {
        reasons = Mutex(Dictionary(uniqueKeysWithValues: conditions.map { ($0, "not tried yet") }))
    }

    /// Sets whether a condition holds. `reason` is for people and must not hold a secret.
    public func set(_ name: String, isReady: Bool, reason: String = "not ready") {
        reasons.withLock { $0[name] = isReady ? nil : reason }
    }

    /// The conditions that do not hold, by name.
    public var unmet: [Unmet] {
        reasons.withLock { $0 }.map { Unmet(name: $0, reason: $1) }.sorted { $0.name < $1.name }
    }
}

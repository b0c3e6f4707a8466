import BlockingIO

/// The conditions under which this process can take work, by name: `database`, `kafka` ...
///
/// May be used from any thread.
package final class Readiness: Sendable {
    /// A condition that does not hold.
    package struct Unmet: Sendable, Hashable, CustomStringConvertible {
        package let name: String
        package let reason: String
        package var description: String { "\(name): \(reason)" }
    }

    private let reasons: Mutex<[String: String]>

    /// No condition holds yet.
    package init(_ conditions: [String]) {
        reasons = Mutex(Dictionary(uniqueKeysWithValues: conditions.map { ($0, "not tried yet") }))
    }

    /// Sets whether a condition holds. `reason` is shown by `/readyz` and must not hold a secret.
    package func set(_ name: String, isReady: Bool, reason: String = "not ready") {
        reasons.withLock { $0[name] = isReady ? nil : reason }
    }

    /// The conditions that do not hold, in order of name.
    package var unmet: [Unmet] {
        reasons.withLock { $0 }.map { Unmet(name: $0, reason: $1) }.sorted { $0.name < $1.name }
    }
}

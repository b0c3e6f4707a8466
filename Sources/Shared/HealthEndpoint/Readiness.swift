import BlockingIO

/// What must hold before work should be sent to this process, as named conditions: `database`, `kafka` ...
///
/// May be used from any thread.
package final class Readiness: Sendable {
    /// A condition that does not hold.
    package struct Unmet: Sendable, Hashable, CustomStringConvertible {
        /// The condition's name.
        package let name: String
        /// Why it does not hold.
        package let reason: String
        /// `name: reason`
        package var description: String { "\(name): \(reason)" }
    }

    private let reasons: Mutex<[String: String]>

    /// None of the conditions holds yet.
    package init(_ conditions: [String]) {
        reasons = Mutex(Dictionary(uniqueKeysWithValues: conditions.map { ($0, "not tried yet") }))
    }

    /// Sets whether a condition holds. `reason` is for people and must not hold a secret.
    package func set(_ name: String, isReady: Bool, reason: String = "not ready") {
        reasons.withLock { $0[name] = isReady ? nil : reason }
    }

    /// The conditions that do not hold, by name.
    package var unmet: [Unmet] {
        reasons.withLock { $0 }.map { Unmet(name: $0, reason: $1) }.sorted { $0.name < $1.name }
    }
}

/// The version of all programs of this repository.
package enum Version {
    /// Semantic version 2.0.0.
    package static let current = "0.1.0"
}

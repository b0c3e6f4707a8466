import Foundation

/// The certificates that `scripts/dev/certificates.sh` makes for a run of the tests: its comment says which there are.
package enum TestCertificates {
    private static let folder = ProcessInfo.processInfo.environment["BDA_TEST_CERTIFICATES"]

    /// Whether there are any; without them no server of the tests talks TLS.
    package static let areAvailable = folder != nil

    /// The path of a file such as `ca.pem`.
    package static func path(_ file: String) -> String { "\(folder ?? "/nowhere")/\(file)" }

    /// The password of the client's key.
    package static func clientKeyPassword() throws -> String {
        try String(contentsOfFile: path("client.password"), encoding: .utf8).trimmingCharacters(in: .newlines)
    }

    /// The settings by which a client shows `name`'s certificate to Kafka; the key of `client` is encrypted.
    package static func clientProperties(_ name: String) throws -> [String: String] {
        var properties = [
            "ssl.certificate.location": path("\(name).pem"), "ssl.key.location": path("\(name).key"),
        ]
        if name == "client" { properties["ssl.key.password"] = try clientKeyPassword() }
        return properties
    }
}

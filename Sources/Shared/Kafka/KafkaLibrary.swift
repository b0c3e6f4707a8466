internal import CLibRdKafka

/// The loaded librdkafka, which may be newer than the one at build time.
package enum KafkaLibrary {
    package struct Version: Sendable, Hashable, Comparable, CustomStringConvertible {
        package let major: Int
        package let minor: Int
        package let patch: Int

        init(_ major: Int, _ minor: Int, _ patch: Int) {
            self.major = major
            self.minor = minor
            self.patch = patch
        }

        package static func < (left: Version, right: Version) -> Bool {
            (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
        }

        package var description: String { "\(major).\(minor).\(patch)" }
    }

    /// The release in use.
    package static var version: Version {
        // 0xMMmmrrpp, where pp is 0xff for a release.
        let number = rd_kafka_version()
        return Version(Int(number >> 24 & 0xff), Int(number >> 16 & 0xff), Int(number >> 8 & 0xff))
    }

    /// The oldest supported release: this module was measured with it.
    package static let minimumVersion = Version(2, 0, 2)

    /// Older releases send the client's nonce twice in SCRAM; Kafka 3.9 accepts that, Kafka 4 does not
    /// (confluentinc/librdkafka #4895).
    static let firstVersionWithScramForKafka4 = Version(2, 6, 1)

    /// Throws if the library is older than `minimumVersion`.
    package static func checkVersion() throws(KafkaError) {
        guard version >= minimumVersion else {
            throw KafkaError(
                code: .notImplemented, action: "use librdkafka \(version)",
                cause: "\(minimumVersion) is the oldest release that is supported",
                hint: "install a newer librdkafka")
        }
    }
}

internal import CLibRdKafka

/// The librdkafka that this process runs with, which may be newer than the one it was built with.
package enum KafkaLibrary {
    /// A release of librdkafka.
    package struct Version: Sendable, Hashable, Comparable, CustomStringConvertible {
        /// First number.
        package let major: Int
        /// Second number.
        package let minor: Int
        /// Third number.
        package let patch: Int

        init(_ major: Int, _ minor: Int, _ patch: Int) {
            self.major = major
            self.minor = minor
            self.patch = patch
        }

        /// Older is less.
        package static func < (left: Version, right: Version) -> Bool {
            (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
        }

        /// The three numbers with dots.
        package var description: String { "\(major).\(minor).\(patch)" }
    }

    /// The release in use.
    package static var version: Version {
        // 0xMMmmrrpp, where pp is 0xff for a release.
        let number = rd_kafka_version()
        return Version(Int(number >> 24 & 0xff), Int(number >> 16 & 0xff), Int(number >> 8 & 0xff))
    }

    /// The oldest release that this module was measured with.
    package static let minimumVersion = Version(2, 0, 2)

    /// Before it, the client's nonce is sent twice in SCRAM; Kafka 3.9 lets that pass, Kafka 4 does not
    /// (confluentinc/librdkafka #4895).
    static let firstVersionWithScramForKafka4 = Version(2, 6, 1)

    /// Throws when the library is older than `minimumVersion`.
    package static func checkVersion() throws(KafkaError) {
        guard version >= minimumVersion else {
            throw KafkaError(
                code: .notImplemented, action: "use librdkafka \(version)",
                cause: "\(minimumVersion) is the oldest release that is supported",
                hint: "install a newer librdkafka")
        }
    }
}

import Bytes
import CommandLineOptions
import Foundation
import JobModel
import ObjectStore
import ProgramSettings
import Settings

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compares size and SHA-256 of every file that the manifest of a run names.",
        discussion: """
            The command needs the URI of the manifest and, for S3, credentials with read access. It needs neither a
            database nor Kafka.

            EXAMPLES
              bda-coordinator verify s3://bucket/billing/acme/prod/manifests/latest.json
              bda-coordinator verify file:///srv/out/billing/acme/prod/manifests/dt=2026-03-31/latest.json
            """)

    @Argument(help: "URI of the manifest of a run, or of latest.json.")
    var uri: String

    mutating func run() async throws {
        let uri = uri
        try await reportingFailures {
            let store = try Self.store(holding: uri)
            let run = try await Self.read(RunManifest.self, at: uri, sha256: nil, in: store)
            var differences: [String] = []
            let buffer = ByteBuffer(capacity: 8 << 20)
            for dataset in run.datasets {
                let manifest = try await Self.read(
                    DatasetManifest.self, at: dataset.manifestURI, sha256: dataset.manifestSHA256, in: store)
                if manifest.meta.recordCount != dataset.rows || manifest.totals != dataset.totals {
                    differences.append("\(dataset.name): the run's manifest and the dataset's differ in rows or totals")
                }
                for entry in manifest.entries {
                    differences += try await Self.differences(of: entry, in: store, using: buffer)
                }
                print(
                    "\(dataset.name): \(manifest.entries.count) parts, \(dataset.rows) rows, \(dataset.bytes) bytes read"
                )
            }
            guard differences.isEmpty else {
                throw RunFailure(
                    .differencesFound,
                    (["differences found: \(differences.count)"] + differences).joined(separator: "\n  "))
            }
            print("run \(run.run.runID) of \(run.run.businessDate): every part matches its manifest")
        }
    }

    private static func differences(
        of entry: DatasetManifest.Entry, in store: any ObjectStore, using buffer: ByteBuffer
    ) async throws -> [String] {
        guard let key = store.key(forURI: entry.url), let info = try await store.head(key) else {
            return ["\(entry.url) does not exist"]
        }
        guard info.size == entry.meta.contentLength else {
            return ["\(entry.url) has \(info.size) bytes, not \(entry.meta.contentLength)"]
        }
        let digest = try await store.sha256(of: info, using: buffer)
        return digest.hex == entry.sha256 ? [] : ["\(entry.url) has the SHA-256 \(digest.hex), not \(entry.sha256)"]
    }

    /// Opens the store that contains the object of a URI.
    private static func store(holding uri: String) throws -> any ObjectStore {
        let place: String
        if uri.hasPrefix("file:///") {
            place = "file:///"
        } else if uri.hasPrefix("s3://"), let bucket = uri.dropFirst(5).split(separator: "/").first {
            place = "s3://\(bucket)"
        } else {
            throw RunFailure(.usage, "'\(uri)' is neither s3://bucket/key nor file:///path")
        }
        let environment = ProcessInfo.processInfo.environment.merging(["BDA_OUTPUT": place]) { _, new in new }
        var reader = SettingsReader(environment: environment, catalogue: .programs)
        let configuration = ObjectStoreConfiguration(settings: &reader, environment: environment)
        try reader.finish()
        return try configuration.open()
    }

    private static func read<Manifest: Decodable>(
        _ type: Manifest.Type, at uri: String, sha256: String?, in store: any ObjectStore
    ) async throws -> Manifest {
        guard let key = store.key(forURI: uri), let object = try await store.get(key, limit: 64 << 20) else {
            throw RunFailure(.differencesFound, "there is no manifest at \(uri)")
        }
        if let sha256, SHA256.hash(object.bytes).hex != sha256 {
            throw RunFailure(.differencesFound, "the manifest \(uri) is not the one that the run's manifest names")
        }
        return try WireFormat.decode(type, from: object.bytes, maximumBytes: 64 << 20)
    }
}

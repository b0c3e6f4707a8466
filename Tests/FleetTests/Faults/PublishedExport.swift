import Bytes
import Foundation
import JobModel
import ObjectStore

/// What a reader finds that follows `latest.json`, by what must not depend on who wrote it, and when: every part with the
/// digest of the bytes that are really there.
struct PublishedExport: Sendable {
    /// Something that a reader must never find.
    struct Wrong: Error, CustomStringConvertible {
        let description: String
    }

    var run: RunManifest
    var parts: [Export.Part]

    /// The export of the sample's date; nil when there is none. Throws `Wrong` for a manifest that does not hold.
    static func latest(in store: any ObjectStore) async throws -> PublishedExport? {
        guard let latest = try await store.get(key, limit: 1 << 20) else { return nil }
        return try await read(latest.bytes, in: store)
    }

    /// Where `latest.json` of the date lies.
    static let key = "billing/acme/dev/manifests/dt=\(SampleWarehouse.date)/latest.json"

    /// The export that a run's manifest names.
    static func read(_ manifest: [UInt8], in store: any ObjectStore) async throws -> PublishedExport {
        let run = try WireFormat.decode(RunManifest.self, from: manifest, maximumBytes: 1 << 20)
        var export = PublishedExport(run: run, parts: [])
        for dataset in run.datasets {
            let bytes = try await object(dataset.manifestURI, in: store)
            guard SHA256.hash(bytes).hex == dataset.manifestSHA256 else {
                throw Wrong(description: "\(dataset.manifestURI) has another SHA-256 than the run's manifest says")
            }
            let manifest = try WireFormat.decode(DatasetManifest.self, from: bytes, maximumBytes: 1 << 24)
            guard manifest.totals == dataset.totals, manifest.meta.recordCount == dataset.rows else {
                throw Wrong(description: "\(dataset.manifestURI) has other rows or totals than the run's manifest")
            }
            for entry in manifest.entries {
                let bytes = try await object(entry.url, in: store)
                guard SHA256.hash(bytes).hex == entry.sha256, bytes.count == entry.meta.contentLength else {
                    throw Wrong(description: "\(entry.url) is not what its manifest says")
                }
                export.parts.append(
                    Export.Part(
                        dataset: dataset.name.description, file: String(entry.url.split(separator: "/").last ?? ""),
                        sha256: entry.sha256, bytes: bytes.count, rows: entry.meta.recordCount))
            }
        }
        export.parts.sort()
        return export
    }

    private static func object(_ uri: String, in store: any ObjectStore) async throws -> [UInt8] {
        guard let key = store.key(forURI: uri), let object = try await store.get(key, limit: 1 << 26) else {
            throw Wrong(description: "\(uri) is named and missing")
        }
        return object.bytes
    }

    /// How this one differs from what an undisturbed run exports; nil when it does not.
    func difference(from reference: PublishedExport) -> String? {
        let (own, expected) = (Set(parts), Set(reference.parts))
        guard parts.count == reference.parts.count, own == expected else {
            let wrong = own.subtracting(expected).map { "\($0.dataset)/\($0.file)" }.sorted()
            let missing = expected.subtracting(own).map { "\($0.dataset)/\($0.file)" }.sorted()
            return
                "run \(run.run.runID) has \(parts.count) parts for \(reference.parts.count); wrong: \(wrong.prefix(5)), missing: \(missing.prefix(5))"
        }
        return run.datasets.map(\.totals) == reference.run.datasets.map(\.totals) ? nil : "control totals differ"
    }
}

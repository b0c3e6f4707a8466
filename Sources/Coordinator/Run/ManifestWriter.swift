import Bytes
import CommandLineOptions
import Foundation
import JobModel
import Ledger
import ObjectStore
import Scripts

/// Writes what BI reads, in the order that makes it safe: the datasets' manifests, the run's manifest, and last the two
/// `latest.json`, which are copies of the run's.
struct ManifestWriter: Sendable {
    let run: RunRecord
    let store: any ObjectStore
    let author = DatasetManifest.Author(name: "billing-data-aggregator", version: Version.current)

    /// A run's manifest as it lies in the store.
    struct Written: Sendable {
        var manifest: RunManifest
        var uri: String
        var sha256: String
        var bytes: [UInt8]
    }

    /// Writes the manifests of the datasets and of the run. Written again, they are the same bytes: their time is that of
    /// the run's row.
    func write(
        datasets: [(script: RunScript, parts: [RunPart], totals: [ControlTotal])], warnings: [RunManifest.Warning],
        replaces: RunID?
    ) async throws -> Written {
        var entries: [RunManifest.Dataset] = []
        for (script, parts, totals) in datasets {
            let name = script.script.segment.name
            let manifest = DatasetManifest(
                dataset: name, run: run.context,
                entries: parts.map {
                    DatasetManifest.Entry(
                        url: store.uri(forKey: $0.part.key), contentLength: $0.part.bytes, recordCount: $0.part.rows,
                        sha256: $0.part.sha256, partition: $0.jobID.partition)
                }, columns: script.columns, key: script.script.segment.key, compression: run.compression,
                totals: totals,
                replacesRunID: replaces, generatedAt: run.graphAt ?? run.startedAt, author: author)
            let bytes = try WireFormat.encodePretty(manifest)
            let key = run.layout.manifest(of: name)
            _ = try await store.put(key, bytes: bytes, options: Self.json())
            entries.append(
                RunManifest.Dataset(
                    name: name, manifestURI: store.uri(forKey: key), manifestSHA256: SHA256.hash(bytes).hex,
                    parts: parts.count, rows: manifest.meta.recordCount, bytes: manifest.meta.contentLength,
                    totals: totals))
        }
        let manifest = RunManifest(
            run: run.context, cutoff: run.cutoff, systems: run.systems, partitionCount: run.partitionCount,
            datasets: entries, warnings: warnings, replacesRunID: replaces, generatedAt: run.graphAt ?? run.startedAt,
            author: author)
        let bytes = try WireFormat.encodePretty(manifest)
        _ = try await store.put(run.layout.runManifest, bytes: bytes, options: Self.json())
        return Written(
            manifest: manifest, uri: store.uri(forKey: run.layout.runManifest), sha256: SHA256.hash(bytes).hex,
            bytes: bytes)
    }

    /// Moves `latest` of the date, and of all dates unless it names a newer one.
    ///
    /// - Parameter assertOwner: throws when the run is another coordinator's.
    func moveLatest(to written: Written, assertOwner: () async throws -> Void) async throws {
        for key in [run.layout.latestOfDate, run.layout.latest] {
            var tries = 0
            while true {
                do {
                    try await replace(key, by: written.bytes, assertOwner)
                    break
                } catch let error as ObjectStoreError where error.kind == .preconditionFailed && tries < 5 {
                    // Another date was published in between: look again which one is newer.
                    tries += 1
                }
            }
        }
    }

    /// Replaces a small object by compare-and-set: what was read must still be there when it is written. Whose run it is, is
    /// asked in between: who was frozen before finds it out, and who is frozen after that finds another object.
    private func replace(_ key: String, by bytes: [UInt8], _ assertOwner: () async throws -> Void) async throws {
        let current = try await store.get(key, limit: Self.maximumBytes)
        if let current,
            let named = try? WireFormat.decode(RunManifest.self, from: current.bytes, maximumBytes: Self.maximumBytes),
            named.run.businessDate > run.businessDate
        {
            return
        }
        try await assertOwner()
        let condition = current.map { $0.info.etag.map { WriteCondition.ifMatch($0) } ?? .none } ?? .ifAbsent
        _ = try await store.put(key, bytes: bytes, options: Self.json(condition))
    }

    /// No manifest of a run is larger.
    static let maximumBytes = 64 << 20

    private static func json(_ condition: WriteCondition = .none) -> WriteOptions {
        WriteOptions(contentType: "application/json", condition: condition)
    }
}

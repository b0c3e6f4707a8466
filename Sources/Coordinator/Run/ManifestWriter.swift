import Bytes
import CommandLineOptions
import Foundation
import JobModel
import Ledger
import ObjectStore
import Scripts

/// Writes the manifests in a safe order: those of the datasets, that of the run, and last the two `latest.json`
/// objects, which are copies of the run's manifest.
struct ManifestWriter: Sendable {
    let run: RunRecord
    let store: any ObjectStore
    let author = DatasetManifest.Author(name: "billing-data-aggregator", version: Version.current)

    /// A run's manifest as stored.
    struct Written: Sendable {
        var manifest: RunManifest
        var uri: String
        var sha256: String
        var bytes: [UInt8]
    }

    /// Writes the manifests of the datasets and of the run. A repeated write gives the same bytes, because the
    /// timestamps come from the run's row.
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

    /// Moves the `latest.json` of the date, and that of the client unless it names a newer date.
    ///
    /// - Parameter assertOwner: throws if another coordinator owns the run.
    func moveLatest(to written: Written, assertOwner: () async throws -> Void) async throws {
        for key in [run.layout.latestOfDate, run.layout.latest] {
            var tries = 0
            while true {
                do {
                    try await replace(key, by: written.bytes, assertOwner)
                    break
                } catch let error as ObjectStoreError where error.kind == .preconditionFailed && tries < 5 {
                    // Another date was published meanwhile: compare the dates again.
                    tries += 1
                }
            }
        }
    }

    /// Replaces a small object by compare-and-set: the write fails if the object has changed since the read. The
    /// ownership is checked between read and write, so a coordinator that was frozen before the check finds that it
    /// lost the ownership, and one that was frozen after the check finds that the object has changed.
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

    /// Maximum size of a run's manifest.
    static let maximumBytes = 64 << 20

    private static func json(_ condition: WriteCondition = .none) -> WriteOptions {
        WriteOptions(contentType: "application/json", condition: condition)
    }
}

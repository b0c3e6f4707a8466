/// The layout of a run's objects below the output. No other code builds their keys.
///
///     <prefix>/<client>/<environment>/<system>/<dataset>/dt=<date>/run=<run>/part-<partition>-<n>.csv[.gz|.zst]
///     <prefix>/<client>/<environment>/manifests/dt=<date>/run=<run>/<dataset>.json, run.json
///     <prefix>/<client>/<environment>/manifests/dt=<date>/latest.json
///     <prefix>/<client>/<environment>/manifests/latest.json
///
/// Names are a function of dataset, partition and part number, so a repeated job writes the same bytes under the same
/// key, and no run writes below the prefix of another.
package struct ObjectLayout: Sendable, Hashable {
    private let base: String
    private let businessDate: BusinessDate
    private let runID: RunID

    /// `prefix`, `clientID` and `environment` are checked settings (`isKeyComponent`).
    package init(prefix: String, clientID: String, environment: String, businessDate: BusinessDate, runID: RunID) {
        base = ([prefix, clientID, environment].filter { !$0.isEmpty }).joined(separator: "/")
        self.businessDate = businessDate
        self.runID = runID
    }

    /// The key of one part. `number` counts from 1.
    package func part(of dataset: SegmentName, partition: Int, number: Int, compression: Compression) -> String {
        "\(folder(of: dataset))part-\(padded(partition, 4))-\(padded(number, 5)).csv\(compression.suffix)"
    }

    /// The common beginning of the keys of a dataset's parts.
    package func folder(of dataset: SegmentName) -> String {
        "\(base)/\(dataset.system)/\(dataset.name)/dt=\(businessDate)/run=\(runID)/"
    }

    package func manifest(of dataset: SegmentName) -> String { "\(manifestFolder)\(dataset).json" }

    /// The manifest over all datasets of the run.
    package var runManifest: String { "\(manifestFolder)run.json" }

    /// The manifest of the date's newest complete run.
    package var latestOfDate: String { "\(base)/manifests/dt=\(businessDate)/latest.json" }

    /// The manifest of the newest complete date.
    package var latest: String { "\(base)/manifests/latest.json" }

    /// The common beginning of the keys of the run's manifests.
    package var manifestFolder: String { "\(base)/manifests/dt=\(businessDate)/run=\(runID)/" }

    /// The run that an object's key belongs to; nil for a key that belongs to no run.
    package static func runID(ofKey key: String) -> RunID? {
        key.split(separator: "/").lazy.compactMap { part in
            part.hasPrefix("run=") ? try? RunID(String(part.dropFirst("run=".count))) : nil
        }.first
    }

    /// Whether a text may stand between two slashes of a key: letters, digits and `-_.`, not only dots.
    package static func isKeyComponent(_ text: some StringProtocol) -> Bool {
        let isAllowed: (UInt8) -> Bool = {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
        }
        return !text.isEmpty && text.utf8.count <= 128 && text.utf8.allSatisfy(isAllowed)
            && !text.allSatisfy { $0 == "." }
    }
}

package enum Compression: String, Sendable, Hashable, Codable, CaseIterable {
    case none, gzip, zstd

    /// The text after `.csv` in the name of a part.
    package var suffix: String {
        switch self {
        case .none: ""
        case .gzip: ".gz"
        case .zstd: ".zst"
        }
    }
}

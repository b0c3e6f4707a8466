import Bytes
import JobModel
import ObjectStore
import Testing

/// What a reader finds that follows `latest.json`: the manifests, and every part they name, downloaded and checked.
struct Export {
    /// One part by what must not depend on who wrote it, and when.
    struct Part: Hashable, Comparable {
        var dataset: String
        var file: String
        var sha256: String
        var bytes: Int
        var rows: Int

        static func < (left: Part, right: Part) -> Bool { (left.dataset, left.file) < (right.dataset, right.file) }
    }

    var run: RunManifest
    var manifests: [String: DatasetManifest] = [:]
    var parts: [Part] = []
    /// All rows of each dataset as PostgreSQL wrote them, in the order of parts.
    var rows: [String: [CSVRow]] = [:]

    /// The newest date's export.
    static func latest(in store: any ObjectStore, date: String = SampleWarehouse.date) async throws -> Export {
        let newest = try await store.get("\(manifests)/latest.json", limit: 1 << 20)
        let ofDate = try await store.get("\(manifests)/dt=\(date)/latest.json", limit: 1 << 20)
        #expect(newest?.bytes == ofDate?.bytes)
        return try await of(date: date, in: store)
    }

    /// A date's export, which need not be the newest date's.
    static func of(date: String, in store: any ObjectStore) async throws -> Export {
        let folder = "\(manifests)/dt=\(date)"
        let latest = try #require(try await store.get("\(folder)/latest.json", limit: 1 << 20), "no export of \(date)")
        let run = try WireFormat.decode(RunManifest.self, from: latest.bytes, maximumBytes: 1 << 20)
        let own = try await store.get("\(folder)/run=\(run.run.runID)/run.json", limit: 1 << 20)
        #expect(own?.bytes == latest.bytes)
        var export = Export(run: run)
        for dataset in run.datasets { try await export.read(dataset, in: store) }
        return export
    }

    private static let manifests = "billing/acme/dev/manifests"

    private mutating func read(_ dataset: RunManifest.Dataset, in store: any ObjectStore) async throws {
        let name = dataset.name.description
        let object = try await Self.object(dataset.manifestURI, in: store)
        #expect(SHA256.hash(object).hex == dataset.manifestSHA256, "\(name)")
        let manifest = try WireFormat.decode(DatasetManifest.self, from: object, maximumBytes: 1 << 24)
        manifests[name] = manifest
        let header = manifest.schema.elements.map(\.name)
        var rows: [CSVRow] = []
        for entry in manifest.entries {
            let bytes = try await Self.object(entry.url, in: store)
            let sha256 = SHA256.hash(bytes).hex
            #expect(bytes.count == entry.meta.contentLength, "\(entry.url)")
            #expect(sha256 == entry.sha256, "\(entry.url)")
            let lines = try CSVRow.rows(of: Self.text(of: bytes, manifest.csv.compression))
            #expect(lines.first?.fields == header, "\(entry.url)")
            #expect(lines.count - 1 == entry.meta.recordCount, "\(entry.url)")
            rows += lines.dropFirst()
            parts.append(
                Part(
                    dataset: name, file: String(entry.url.split(separator: "/").last ?? ""), sha256: sha256,
                    bytes: bytes.count, rows: lines.count - 1))
        }
        #expect(Set(manifest.entries.map(\.url)).count == manifest.entries.count, "\(name) names a part twice")
        self.rows[name] = rows
        #expect(dataset.parts == manifest.entries.count, "\(name)")
        #expect(dataset.rows == rows.count && manifest.meta.recordCount == rows.count, "\(name)")
        #expect(dataset.bytes == manifest.meta.contentLength, "\(name)")
        #expect(dataset.totals == manifest.totals, "\(name)")
    }

    private static func object(_ uri: String, in store: any ObjectStore) async throws -> [UInt8] {
        let key = try #require(store.key(forURI: uri), "'\(uri)' is not in the store")
        return try #require(try await store.get(key, limit: 1 << 26), "'\(uri)' is missing").bytes
    }

    /// The CSV in a part.
    private static func text(of bytes: [UInt8], _ compression: Compression) throws -> [UInt8] {
        guard let format = CompressionFormat(rawValue: compression.rawValue) else { return bytes }
        var decompressor = try Decompressor(format)
        let text = ByteBuffer(capacity: 1 << 22)
        let taken = try bytes.withUnsafeBytes { try decompressor.decompress($0, into: text) }
        let isWhole = decompressor.isAtEnd && taken == bytes.count
        try #require(isWhole, "a part is cut off, or longer than a test's parts are")
        return Array(text.bytes)
    }

    /// A dataset's rows as dictionaries.
    func records(of dataset: String) throws -> [[String: String?]] {
        let names = try #require(manifests[dataset]).schema.elements.map(\.name)
        return try #require(rows[dataset]).map { Dictionary(uniqueKeysWithValues: zip(names, $0.fields)) }
    }
}

/// One row of CSV as PostgreSQL writes it (RFC 4180 with LF; NULL is nothing, an empty text two quotes).
struct CSVRow: Hashable {
    /// Without the line feed.
    var text: String
    var fields: [String?]

    /// The rows of a file. Throws when it does not end with a line feed outside of quotes.
    static func rows(of bytes: [UInt8]) throws -> [CSVRow] {
        let (quote, comma, lineFeed) = (UInt8(ascii: "\""), UInt8(ascii: ","), UInt8(ascii: "\n"))
        var rows: [CSVRow] = []
        var fields: [String?] = []
        var field: [UInt8] = []
        var (rowStart, isQuoted, wasQuoted) = (0, false, false)
        func endField() {
            fields.append(field.isEmpty && !wasQuoted ? nil : String(decoding: field, as: UTF8.self))
            field = []
            wasQuoted = false
        }
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case quote:
                // The second quote of a pair opens the field again, and stands for itself.
                if !isQuoted, wasQuoted { field.append(quote) }
                isQuoted.toggle()
                wasQuoted = true
            case comma where !isQuoted: endField()
            case lineFeed where !isQuoted:
                endField()
                rows.append(CSVRow(text: String(decoding: bytes[rowStart..<index], as: UTF8.self), fields: fields))
                fields = []
                rowStart = index + 1
            default: field.append(byte)
            }
        }
        try #require(rowStart == bytes.count && !isQuoted, "the file does not end with a line")
        return rows
    }
}

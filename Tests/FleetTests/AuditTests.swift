import Foundation
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem {
    /// Audit/audit.py computes all datasets from dumps of the vaults, without any SQL of ours, and compares every cell.
    @Suite struct AuditTests {
        @Test(
            "every cell of three business dates at scale 1 is what an independent program computes; a wrong cent is named"
        )
        func everyCell() async throws {
            try await SampleWarehouse.with(scale: "1", days: 730) {
                try await Fleet.with(["BDA_MAX_ROW_SIZE_FILE": "2500", "BDA_LOG_LEVEL": "info"]) { fleet in
                    let workers = (try fleet.worker("one"), try fleet.worker("two"))
                    let audit = try await Audit(fleet)
                    // A leap day, on which the sample has six weeks of documents; the end of a year; the sample's own date,
                    // where a load runs over the cut-off.
                    for date in ["2024-02-29", "2025-12-31", SampleWarehouse.date] {
                        try await fleet.coordinator(["run", "--date", date]).succeeds()
                        try await audit.download()
                        let check = try audit.check(date)
                        #expect(try await check.ended() == .exit(0), check.report)
                        // By the leap day nothing has been given up yet; everything else is there.
                        let empty = check.outputText.split(separator: "\n").filter { $0.contains(": 0 rows, ") }
                        let expected = date == "2024-02-29" ? ["tripica.write_offs"] : []
                        #expect(
                            empty.map { $0.split(separator: " ")[1].dropLast() } == expected.map { $0[...] },
                            check.report)
                    }
                    try await fleet.drain(workers.0, workers.1)
                    try await audit.expectWrongFileIsFound()
                    try await audit.expectWrongDumpIsFound()
                }
            }
        }

        /// Seeds, a few for each installation: `BDA_TEST_SEEDS=1-500` makes and checks more.
        private static let seeds: [ClosedRange<Int>] = {
            let bounds = ProcessInfo.processInfo.environment["BDA_TEST_SEEDS"]?.split(separator: "-").compactMap {
                Int($0)
            }
            let (first, last) = (bounds?.first ?? 1, bounds?.last ?? 6)
            return stride(from: first, through: last, by: 3).map { $0...min($0 + 2, last) }
        }()

        /// Audit/nasty.py makes the warehouses. A seed's warehouse is made again by `nasty.py SEED FOLDER`.
        @Test(
            "random small warehouses: every cell is right, and what is loaded after the cut-off changes no byte",
            arguments: seeds)
        func randomWarehouses(seeds: ClosedRange<Int>) async throws {
            try await Fleet.with(["BDA_LOG_LEVEL": "info"]) { fleet in
                let workers = (try fleet.worker("one"), try fleet.worker("two"))
                for seed in seeds {
                    let folder = "\(fleet.folder.path)/\(seed)"
                    let made = try fleet.tool(
                        [Audit.python, Audit.script("nasty.py"), "\(seed)", folder], name: "nasty")
                    try await made.succeeds()
                    let date = made.outputText.filter { !$0.isWhitespace }
                    let settings = [
                        "BDA_PARTITIONS": "\(seed % 3 + 1)", "BDA_MAX_ROW_SIZE_FILE": "\(20 + seed % 7 * 30)",
                        "BDA_COMPRESSION": seed.isMultiple(of: 2) ? "gzip" : "none",
                    ]
                    func run(_ file: String) async throws -> Export {
                        try await fleet.tool(
                            [
                                "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1",
                                "--file=\(folder)/\(file).sql",
                            ],
                            name: "psql"
                        ).succeeds()
                        let run = try fleet.coordinator(["run", "--date", date, "--new"], settings: settings)
                        #expect(try await run.ended() == .exit(0), "seed \(seed): \(run.report)")
                        return try await Export.of(date: date, in: fleet.store)
                    }
                    try await fleet.emptyVaults()
                    let first = try await run("first")
                    let audit = try await Audit(fleet)
                    try await audit.download()
                    let check = try audit.check(date)
                    #expect(try await check.ended() == .exit(0), "seed \(seed): \(check.report)")
                    let later = try await run("later")
                    #expect(later.run.run.runID != first.run.run.runID)
                    #expect(later.parts == first.parts, "seed \(seed)")
                }
                try await fleet.drain(workers.0, workers.1)
            }
        }
    }
}

/// Dumps of a fleet's vaults and copies of what it has exported, for audit.py.
struct Audit {
    static let python = ProcessInfo.processInfo.environment["BDA_TEST_PYTHON"] ?? "python3"

    /// A program beside audit.py.
    static func script(_ name: String) -> String { "\(Fleet.repository)/Tests/FleetTests/Audit/\(name)" }

    private let fleet: Fleet
    private var dumps: String { "\(fleet.folder.path)/dumps" }
    private var files: String { "\(fleet.folder.path)/bucket" }

    /// Dumps the vaults as they are now.
    init(_ fleet: Fleet) async throws {
        self.fleet = fleet
        try await run(["dump", dumps]).succeeds()
    }

    /// Starts audit.py.
    private func run(_ arguments: [String]) throws -> Program {
        try fleet.tool([Self.python, Self.script("audit.py")] + arguments, name: "audit-\(arguments[0])")
    }

    /// Copies all that the store holds to files, as `aws s3 sync` does.
    func download() async throws {
        for key in try await fleet.keys() {
            let object = try #require(try await fleet.store.get(key, limit: 1 << 26))
            let file = URL(fileURLWithPath: path(ofURI: fleet.store.uri(forKey: key)))
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(object.bytes).write(to: file)
        }
    }

    /// Where the copy of an object lies: `s3://bucket/key` is `files/key`.
    private func path(ofURI uri: String) -> String {
        "\(files)/\(uri.split(separator: "/", maxSplits: 2)[2])"
    }

    /// Starts the comparison of a date's newest export with the dumps.
    func check(_ date: String) throws -> Program {
        let manifest = fleet.store.uri(forKey: "billing/acme/dev/manifests/dt=\(date)/latest.json")
        return try run(["check", "--dumps", dumps, "--files", files, "--date", date, "--manifest", manifest])
    }

    /// Adds a cent to one cell of an exported file: the cell must be named, and the file's digest and the total be wrong.
    func expectWrongFileIsFound() async throws {
        let folder = "/tripica/charges/dt=\(SampleWarehouse.date)/"
        let key = try #require(try await fleet.keys().last { $0.contains(folder) }, "no file of charges")
        let file = path(ofURI: fleet.store.uri(forKey: key))
        let (charge, old, new) = try changing(file, column: "amount_net", key: "charge_no", where: { _ in true })
        let check = try check(SampleWarehouse.date)
        #expect(try await check.ended() == .exit(1), check.report)
        let subject = "DIFFERENCE tripica.charges: "
        for text in [
            "charge_no=\(charge) amount_net: expected '\(old)', found '\(new)'", "SHA-256 of part-", "control totals: ",
        ] {
            #expect(check.outputText.contains(subject + text), check.report)
        }
        #expect(check.outputText.contains("\(SampleWarehouse.date): 3 differences"), check.report)
        try await download()
    }

    /// Adds a cent to one write-off of the dumps that was reversed: its amount must differ, and nothing else.
    func expectWrongDumpIsFound() async throws {
        let writeOff = try await fleet.session.execute(
            """
            SELECT w.write_off_hk::text, h.write_off_no
            FROM datalake_vault.sat_write_off AS w JOIN datalake_vault.hub_write_off AS h USING (write_off_hk)
            GROUP BY w.write_off_hk, h.write_off_no
            HAVING count(*) FILTER (WHERE w.load_dts > '\(SampleWarehouse.cutoff)') = 0
               AND (array_agg(w.status ORDER BY w.load_dts DESC))[1] = 'reversed'
            ORDER BY h.write_off_no LIMIT 1
            """, action: "choose a write-off"
        ).rows.first
        let (hashKey, number) = try (#require(writeOff?[0]), #require(writeOff?[1]))
        let (_, old, new) = try changing(
            "\(dumps)/datalake_vault.sat_write_off.csv", column: "amount", key: "write_off_hk",
            where: { $0.contains(hashKey) && $0.contains("reversed") }
        )
        let check = try check(SampleWarehouse.date)
        #expect(try await check.ended() == .exit(1), check.report)
        let line =
            "DIFFERENCE tripica.write_offs: write_off_no=\(number) amount: expected '\(new)', found '\(old)'"
        #expect(check.outputText.contains(line), check.report)
        #expect(check.outputText.contains("\(SampleWarehouse.date): 1 differences"), check.report)
    }

    /// Adds a cent to an amount in a CSV file, in the last row that is wanted and has that amount in one place only.
    private func changing(
        _ path: String, column: String, key: String, where isWanted: ([String?]) -> Bool
    ) throws -> (key: String, old: String, new: String) {
        let bytes = [UInt8](try #require(FileManager.default.contents(atPath: path), "\(path) is missing"))
        let rows = try CSVRow.rows(of: bytes)
        let header = try #require(rows.first).fields
        let (place, keyPlace) = try (
            #require(header.firstIndex(of: column)), #require(header.firstIndex(of: key))
        )
        let row = try #require(
            rows.dropFirst().last { row in
                guard let old = row.fields[place] else { return false }
                return isWanted(row.fields) && row.text.components(separatedBy: ",\(old),").count == 2
            }, "no row of \(path) can be changed")
        let (owner, old) = try (#require(row.fields[keyPlace]), #require(row.fields[place]))
        let cents = try #require(ExpectedRows.cents(old)) + 1
        let new = String(format: "%@%d.%02d", cents < 0 ? "-" : "", abs(cents) / 100, abs(cents) % 100)
        let text = String(decoding: bytes, as: UTF8.self).replacing(
            row.text, with: row.text.replacing(",\(old),", with: ",\(new),"))
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return (owner, old, new)
    }
}

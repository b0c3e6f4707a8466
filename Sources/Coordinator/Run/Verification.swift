import Bytes
import CommandLineOptions
import JobModel
import Ledger
import ObjectStore
import Postgres
import Scripts

/// The checks before a manifest is written: the store has every part with its size, and the totals that the workers
/// computed from the exported bytes equal the sums of SQL over the source tables.
struct Verification: Sendable {
    let run: RunRecord
    let store: any ObjectStore

    /// Sends a HEAD request for every part. Throws if a part is missing, or if its size or checksum differs.
    func checkParts(_ parts: [RunPart]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, part) in parts.enumerated() {
                if index >= 8 { try await group.next() }
                group.addTask {
                    let info = try await store.head(part.part.key)
                    guard let info else {
                        throw RunFailure(
                            .totalsDiffer, "part \(store.uri(forKey: part.part.key)) is not in the store",
                            hint: "the object was removed after its upload; run the date again with --new")
                    }
                    guard info.size == part.part.bytes, info.sha256.map({ $0.hex == part.part.sha256 }) ?? true else {
                        throw RunFailure(
                            .totalsDiffer,
                            "part \(store.uri(forKey: part.part.key)) has \(info.size) bytes in the store instead of \(part.part.bytes), or another checksum",
                            hint: "the object was changed after its upload; run the date again with --new")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Compares the row count and totals of a dataset with SQL over its source tables. Returns a sentence for each
    /// difference.
    func differences(
        of script: SegmentScript, rows: Int, totals: [ControlTotal], in session: PostgresSession
    ) async throws -> [String] {
        let segment = script.segment
        let currency = segment.totalsBy.map { SQL.identifier($0) + "::text" } ?? "NULL::text"
        let sums = segment.totals.map { "sum(\(SQL.identifier($0)))::text" }
        var expectedRows = 0
        var expected: [ControlTotal] = []
        for partition in 0..<(segment.split == .none ? 1 : run.partitionCount) {
            var parameters = run.parameters
            parameters.partition = segment.split == .none ? nil : partition
            let query = try script.text.statements(with: parameters)[0]
            let result = try await session.execute(
                "SELECT count(*), COALESCE(\(currency), '')\(sums.map { ", " + $0 }.joined()) FROM (\(query)\n) AS exported GROUP BY 2",
                within: .seconds(3600), action: "sum \(segment.name) for comparison")
            for row in result.rows {
                expectedRows += Int(row[0] ?? "") ?? 0
                for (name, value) in zip(segment.totals, row.dropFirst(2)) {
                    guard let value else { continue }
                    expected.append(ControlTotal(name: name, currency: row[1] ?? "", amount: try ExactDecimal(value)))
                }
            }
        }
        var problems: [String] = []
        if rows != expectedRows {
            problems.append("\(segment.name): \(rows) rows were exported, SQL counts \(expectedRows)")
        }
        let sums1 = Dictionary(grouping: ControlTotal.sum(totals) ?? [], by: { TotalKey($0) }).mapValues {
            $0[0].amount
        }
        let sums2 = Dictionary(grouping: ControlTotal.sum(expected) ?? [], by: { TotalKey($0) }).mapValues {
            $0[0].amount
        }
        for key in Set(sums1.keys).union(sums2.keys).sorted() {
            let zero = ExactDecimal(unscaled: 0, scale: 0)
            let (exported, expected) = (sums1[key] ?? zero, sums2[key] ?? zero)
            guard !exported.isSameNumber(as: expected) else { continue }
            let difference = exported.adding(ExactDecimal(unscaled: -expected.unscaled, scale: expected.scale))
            problems.append(
                "\(segment.name): total \(key): exported \(exported), SQL sums \(expected), difference \(difference.map(\.description) ?? "too large")"
            )
        }
        return problems
    }

    private struct TotalKey: Hashable, Comparable, CustomStringConvertible {
        let name: String
        let currency: String

        init(_ total: ControlTotal) {
            name = total.name
            currency = total.currency
        }

        var description: String { currency.isEmpty ? name : "\(name) in \(currency)" }

        static func < (left: Self, right: Self) -> Bool { left.description < right.description }
    }
}

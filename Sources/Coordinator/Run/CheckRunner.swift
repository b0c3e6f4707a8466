import CommandLineOptions
import JobModel
import Ledger
import Postgres
import Scripts

/// Runs checks: SELECTs that return the violating rows.
struct CheckRunner: Sendable {
    let run: RunRecord

    /// Maximum number of violating rows that a finding keeps and shows; all violating rows are counted.
    static let sampleSize = 20

    /// Returns one finding for each check, in the given order. The checks read in the session's open transaction.
    func findings(of scripts: [SegmentScript], in session: PostgresSession) async throws -> [Finding] {
        var findings: [Finding] = []
        for script in scripts {
            let query = try script.text.statements(with: run.parameters)[0]
            let result: PostgresResult
            do {
                result = try await session.execute(
                    """
                    WITH violations AS MATERIALIZED (\(query)
                    ) SELECT count(*) OVER () AS bda_violations, violations.* FROM violations LIMIT \(Self.sampleSize)
                    """, within: .seconds(3600),
                    action: "run the \(script.segment.kind.rawValue) \(script.segment.name)")
            } catch let error as PostgresError where !error.isRetryable {
                throw RunFailure(
                    .precheckFailed, "\(error)",
                    hint: "correct \(script.text.file); 'bda-coordinator try' runs one script"
                )
            }
            findings.append(
                Finding(
                    segment: script.segment.name, severity: script.segment.severity, hint: script.segment.hint,
                    rows: result.rows.first.flatMap { $0[0] }.flatMap { Int($0) } ?? 0,
                    columns: Array(result.columns.dropFirst()), sample: result.rows.map { Array($0.dropFirst()) }))
        }
        return findings
    }

    /// Formats a finding for the terminal: the check, its hint, and the violating rows as a table.
    static func describe(_ finding: Finding) -> String {
        var text =
            "\(finding.segment) (\(finding.severity.rawValue)): \(finding.rows) violating row\(finding.rows == 1 ? "" : "s")"
        if let hint = finding.hint { text += "\n  hint: \(hint)" }
        text +=
            "\n"
            + TextTable(header: finding.columns, rows: finding.sample.map { $0.map { $0 ?? "NULL" } }).text(indent: 2)
        if finding.rows > finding.sample.count { text += "\n  … and \(finding.rows - finding.sample.count) more" }
        return text
    }
}

/// Aligned columns of text for the terminal.
struct TextTable {
    var header: [String]
    var rows: [[String]]
    /// Indexes of the columns that hold numbers and are aligned to the right.
    var numeric: Set<Int> = []

    func text(indent: Int = 0, maximumWidth: Int = 60) -> String {
        let all = ([header] + rows).map { $0.map { Self.oneLine($0, maximumWidth) } }
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let margin = String(repeating: " ", count: indent)
        return all.map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return numeric.contains(column) ? space + cell : cell + space
            }
            return margin + cells.joined(separator: "  ").trimmingTrailingSpaces
        }.joined(separator: "\n")
    }

    private static func oneLine(_ text: String, _ width: Int) -> String {
        let short = text.count > width ? text.prefix(width - 1) + "…" : text[...]
        return String(short.map { $0.isNewline ? "⏎" : $0 })
    }
}

extension String {
    fileprivate var trimmingTrailingSpaces: String { String(reversed().drop { $0 == " " }.reversed()) }
}

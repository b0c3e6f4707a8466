import JobModel
import Ledger

/// The report that `run` and `local` print at the end.
struct RunReport {
    let summary: RunDriver.Summary
    let figures: [DatasetFigures]

    var text: String {
        let run = summary.run
        var lines: [String] = []
        if summary.wasCompleteBefore {
            lines.append("\(run.businessDate) is complete already, by run \(run.runID); --new runs the date again")
        } else {
            lines.append("run \(run.runID) of \(run.businessDate) is complete")
        }
        lines.append(
            TextTable(
                header: ["dataset", "parts", "rows", "bytes"],
                rows: figures.map { ["\($0.dataset)", "\($0.parts)", "\($0.rows)", "\($0.bytes)"] },
                numeric: [1, 2, 3]
            ).text(indent: 2))
        let datasets = (summary.manifest?.datasets ?? []).filter { !$0.totals.isEmpty }
        if !datasets.isEmpty { lines.append("control totals") }
        for dataset in datasets {
            let totals = dataset.totals.map {
                "\($0.name) \($0.amount)" + ($0.currency.isEmpty ? "" : " \($0.currency)")
            }
            lines += Self.wrapped("\(dataset.name):", totals, width: 110)
        }
        for warning in summary.manifest?.warnings ?? [] {
            lines.append(
                "warning: \(warning.check) found \(warning.rows) rows" + (warning.hint.map { "; \($0)" } ?? ""))
        }
        if let uri = run.manifestURI { lines.append("manifest: \(uri)") }
        return lines.joined(separator: "\n")
    }

    /// Joins a title and items with semicolons, and wraps the text into lines.
    private static func wrapped(_ title: String, _ items: [String], width: Int) -> [String] {
        var lines = ["  " + title]
        for (index, item) in items.enumerated() {
            let text = item + (index + 1 < items.count ? ";" : "")
            if lines[lines.count - 1].count + 1 + text.count > width {
                lines.append("      " + text)
            } else {
                lines[lines.count - 1] += " " + text
            }
        }
        return lines
    }
}

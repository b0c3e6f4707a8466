import JobModel
import Warehouse

/// What a run prints at its end.
struct RunReport {
    let summary: RunFlow.Summary
    let figures: [DatasetFigures]

    var text: String {
        let run = summary.run
        var lines: [String] = []
        if summary.wasCompleteBefore {
            lines.append("\(run.businessDate) is complete already, by run \(run.runID); --new runs it again")
        } else {
            lines.append("run \(run.runID) of \(run.businessDate) is complete")
        }
        var totals: [SegmentName: [ControlTotal]] = [:]
        for dataset in summary.manifest?.datasets ?? [] { totals[dataset.name] = dataset.totals }
        lines.append(
            TextTable(
                header: ["dataset", "parts", "rows", "bytes", "control totals"],
                rows: figures.map { figure in
                    [
                        figure.dataset.description, "\(figure.parts)", "\(figure.rows)", "\(figure.bytes)",
                        (totals[figure.dataset] ?? []).map { "\($0.name) \($0.amount) \($0.currency)" }.joined(
                            separator: "; "),
                    ]
                }, numeric: [1, 2, 3]
            ).text(indent: 2, maximumWidth: 160))
        for warning in summary.manifest?.warnings ?? [] {
            lines.append(
                "warning: \(warning.check) found \(warning.rows) rows" + (warning.hint.map { "; \($0)" } ?? ""))
        }
        if let uri = run.manifestURI { lines.append("manifest: \(uri)") }
        return lines.joined(separator: "\n")
    }
}

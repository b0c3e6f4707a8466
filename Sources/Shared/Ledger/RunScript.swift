package import JobModel
import Postgres
package import Scripts

/// A script as recorded by a run: every job of the run executes this text, whatever the scripts folder holds later.
package struct RunScript: Sendable {
    package let script: SegmentScript
    /// For archive segments: the columns of the dataset.
    package let columns: [DatasetColumn]
    /// For segments that read the vaults: their tables, as `schema.table`.
    package let tables: [String]

    static let columns = "s.kind, s.file, s.columns::text, array_to_string(s.tables, ',') AS tables, t.text"

    init(_ record: PostgresRecord) throws {
        let file = try record.text("file")
        var problems: [ScriptProblem] = []
        guard let kind = SegmentKind(rawValue: try record.text("kind")) else {
            throw ScriptProblem(file: file, line: nil, message: "the ledger holds an unknown kind of segment")
        }
        let text = ScriptText(text: try record.text("text"), file: file, problems: &problems)
        guard let script = SegmentScript(text: text, kind: kind, problems: &problems), problems.isEmpty else {
            throw problems.first ?? ScriptProblem(file: file, line: nil, message: "the header cannot be read")
        }
        self.script = script
        columns =
            try record.optional("columns").map { try WireFormat.decode([DatasetColumn].self, from: $0.utf8) } ?? []
        tables = try record.text("tables").split(separator: ",").map(String.init)
    }
}

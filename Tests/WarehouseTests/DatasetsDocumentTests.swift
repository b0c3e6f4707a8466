import Foundation
import JobModel
import Postgres
import TestSupport
import Testing
import Scripts
import Ledger

/// `docs/datasets.md`, as far as it can be compared with the scripts.
private struct DatasetsDocument {
    struct Dataset: Equatable {
        var key: [String] = []
        var totals: [String] = []
        var totalsBy: String?
        var columns: [String] = []
    }

    private(set) var datasets: [String: Dataset] = [:]
    /// Name, kind and severity.
    private(set) var checks: Set<[String]> = []

    init() throws {
        let text = try String(contentsOfFile: "\(ShippedScripts.repository)/docs/datasets.md", encoding: .utf8)
        var section = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") {
                section = String(line.dropFirst(3))
            } else if line.hasPrefix("Key and order: ") {
                let halves = line.components(separatedBy: " Totals: ")
                let totals = halves[1].components(separatedBy: " by ")
                datasets[section, default: Dataset()].key = Self.quoted(halves[0])
                datasets[section, default: Dataset()].totals = Self.quoted(totals[0])
                datasets[section, default: Dataset()].totalsBy = Self.quoted(totals[1]).first
            } else if line.hasPrefix("| `") {
                let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
                let name = Self.quoted(cells[0])[0]
                if section == "Checks" {
                    checks.insert([name, cells[1], cells[2]])
                } else {
                    datasets[section, default: Dataset()].columns.append("\(name) \(cells[1])")
                }
            }
        }
    }

    /// What stands between backticks.
    private static func quoted(_ text: some StringProtocol) -> [String] {
        text.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    }
}

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(3)))
struct DatasetsDocumentTests {
    @Test("docs/datasets.md names each dataset's columns, types, key and totals as the server and the headers do")
    func datasets() async throws {
        let document = try DatasetsDocument()
        try await ShippedScripts.with { shipped in
            var found: [String: DatasetsDocument.Dataset] = [:]
            for script in shipped.scripts.segments where script.segment.kind == .archive {
                var parameters = shipped.run.parameters
                parameters.partition = 0
                let columns = try await shipped.session.describe(
                    try script.text.statements(with: parameters)[0], action: "describe \(script.segment.name)")
                found[script.segment.name.description] = DatasetsDocument.Dataset(
                    key: script.segment.key, totals: script.segment.totals, totalsBy: script.segment.totalsBy,
                    columns: columns.map { "\($0.name) \($0.type)" })
            }
            #expect(Set(found.keys) == Set(document.datasets.keys))
            for (name, dataset) in found { #expect(document.datasets[name] == dataset, "\(name)") }
        }
    }

    @Test("docs/datasets.md lists each check with its severity")
    func checks() throws {
        let document = try DatasetsDocument()
        let scripts = try ScriptSet(folders: [ShippedScripts.folder])
        let checks = scripts.segments.filter { [.precheck, .postcheck].contains($0.segment.kind) }.map {
            ["\($0.segment.name)", $0.segment.kind.rawValue, $0.segment.severity.rawValue]
        }
        #expect(document.checks == Set(checks))
    }
}

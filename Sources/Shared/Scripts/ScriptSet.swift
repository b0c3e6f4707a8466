import Foundation
import JobModel

/// All scripts of a run: segments and tables, read from the scripts folders and checked as a whole.
///
/// `BDA_SCRIPTS_DIR` names one folder or several with `:` between them, so that a dataset can be added in a folder beside the
/// shipped one.
package struct ScriptSet: Sendable {
    /// All problems of the scripts, found together.
    package struct Problems: Error, CustomStringConvertible, Sendable {
        /// One sentence each, with file and line.
        package let sentences: [String]

        package init(sentences: [String]) { self.sentences = sentences }

        package var description: String {
            "unable to use the scripts:\n" + sentences.map { "  \($0)" }.joined(separator: "\n")
        }
    }

    /// In order of name.
    package let segments: [SegmentScript]
    /// In order of name.
    package let tables: [TableScript]

    /// Reads and checks everything below the folders. Throws all problems at once.
    package init(folders: [String]) throws(Problems) {
        var problems: [ScriptProblem] = []
        var segments: [SegmentScript] = []
        var tables: [TableScript] = []
        var unreadable: [String] = []
        for folder in folders {
            guard Self.isFolder(folder) else {
                unreadable.append(
                    "BDA_SCRIPTS_DIR: '\(folder)' is not a readable folder; it must hold tables/, prechecks/, init/, archive/, postchecks/ and history/, each with .sql files"
                )
                continue
            }
            for file in Self.sqlFiles(in: folder, "tables", unreadable: &unreadable) {
                let text = ScriptText(text: file.text, file: file.name, problems: &problems)
                if let table = TableScript(text: text, problems: &problems) { tables.append(table) }
            }
            for kind in SegmentKind.allCases {
                for file in Self.sqlFiles(in: folder, kind.folder, unreadable: &unreadable) {
                    let text = ScriptText(text: file.text, file: file.name, problems: &problems)
                    if let script = SegmentScript(text: text, kind: kind, problems: &problems) {
                        segments.append(script)
                    }
                }
            }
        }
        var sentences = unreadable + problems.map(\.description)
        sentences += Self.graphProblems(segments)
        sentences += Self.tableProblems(segments, tables)
        if sentences.isEmpty, segments.isEmpty {
            sentences.append("BDA_SCRIPTS_DIR: no segment in \(folders.joined(separator: ", "))")
        }
        guard sentences.isEmpty else { throw Problems(sentences: sentences) }
        self.segments = segments.sorted { $0.segment.name < $1.segment.name }
        self.tables = tables.sorted { $0.name < $1.name }
    }

    /// The systems that can be chosen: those of init and archive segments, without the one that combines others.
    package var systems: Set<String> {
        Set(segments.filter { $0.segment.kind.isJob }.map(\.segment.name.system)).subtracting([JobGraph.combiningSystem]
        )
    }

    /// The segments of a run over the given systems. Checks of a system that has no jobs at all belong to every run.
    package func selected(systems chosen: Set<String>) -> [SegmentScript] {
        let known = systems.union([JobGraph.combiningSystem])
        let names = Set(JobGraph.selected(segments.map(\.segment), systems: chosen).map(\.name))
        return segments.filter { names.contains($0.segment.name) || !known.contains($0.segment.name.system) }
    }

    /// The tables that a run of these segments creates.
    package func runTables(of segments: [SegmentScript]) -> [TableScript] {
        let written = Set(segments.flatMap(\.segment.writes))
        return tables.filter { !$0.isPermanent && written.contains($0.name) }
    }

    /// The graph's problems, each with the file of the segment that it names first.
    private static func graphProblems(_ segments: [SegmentScript]) -> [String] {
        JobGraph.problems(in: segments.map(\.segment)).map { problem in
            let files = segments.filter { problem.hasPrefix("segment '\($0.segment.name)' ") }.map(\.text.file)
            return files.isEmpty ? problem : "\(files.joined(separator: ", ")): \(problem)"
        }
    }

    private static func tableProblems(_ segments: [SegmentScript], _ tables: [TableScript]) -> [String] {
        var problems: [String] = []
        for (name, same) in Dictionary(grouping: tables, by: \.name) where same.count > 1 {
            problems.append(
                "table '\(name)' is declared \(same.count) times: \(same.map(\.text.file).joined(separator: ", "))")
        }
        let names = Set(tables.map(\.name))
        for script in segments {
            for table in script.segment.writes where !names.contains(table) {
                problems.append("\(script.text.file): '@writes \(table)': no script in tables/ declares that table")
            }
        }
        return problems.sorted()
    }

    private static func isFolder(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
            && FileManager.default.isReadableFile(atPath: path)
    }

    /// The .sql files of one folder in order of name. A missing folder holds none.
    package static func sqlFiles(
        in folder: String, _ subfolder: String, unreadable: inout [String]
    ) -> [(name: String, text: String)] {
        let path = "\(folder)/\(subfolder)"
        guard isFolder(path) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".sql") }.sorted()
                .map {
                    let data = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\($0)"))
                    guard let text = String(validating: data, as: UTF8.self) else {
                        unreadable.append("\(subfolder)/\($0): the file is not UTF-8")
                        return ("\(subfolder)/\($0)", "")
                    }
                    return ("\(subfolder)/\($0)", text)
                }
        } catch {
            unreadable.append("unable to read the scripts in '\(path)': \(error.localizedDescription)")
            return []
        }
    }
}

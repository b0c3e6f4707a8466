import Foundation
import Testing

/// The Mermaid drawings of `docs/states.md`.
package enum StateDrawing {
    /// The arrows `a --> b` of the first drawing under a heading, without their labels and without start and end.
    package static func transitions(under heading: String) throws -> Set<String> {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../docs/states.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let section = try #require(text.components(separatedBy: heading + "\n").dropFirst().first)
        let drawing = try #require(section.components(separatedBy: "```").dropFirst().first)
        return Set(
            drawing.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { $0.contains("-->") && !$0.contains("[*]") }
                .map { line in line.split(separator: ":")[0].trimmingCharacters(in: .whitespaces) })
    }
}

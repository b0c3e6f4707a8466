import Foundation

/// The files of this repository, for tests that hold documents against the code.
package enum Repository {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    package static func path(_ relative: String) -> String { root.appending(path: relative).path }

    package static func swiftFiles(under folder: String) throws -> [String] {
        let base = path(folder)
        return try FileManager.default.subpathsOfDirectory(atPath: base).filter { $0.hasSuffix(".swift") }
            .map { "\(base)/\($0)" }
    }
}

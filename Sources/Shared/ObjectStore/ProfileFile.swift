import Foundation

/// An AWS shared file: sections in brackets, `key = value` lines; `#` and `;` begin a comment.
struct ProfileFile {
    /// Values by section and key.
    private(set) var sections: [String: [String: String]] = [:]

    /// Reads a file. Returns nil if it does not exist.
    static func read(_ path: String) throws(ObjectStoreError) -> ProfileFile? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw .credentials(path, "the file cannot be read")
        }
        return ProfileFile(text)
    }

    /// Parses a file. Indented lines belong to a nested value (`s3 =`), which is not needed here.
    init(_ text: String) {
        var section: String?
        for line in text.split(whereSeparator: \.isNewline) {
            if line.first == " " || line.first == "\t" { continue }
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.isEmpty || trimmed.hasPrefix("#") || trimmed.hasPrefix(";") { continue }
            if trimmed.hasPrefix("[") {
                let name = trimmed.dropFirst().prefix { $0 != "]" }
                // `[profile  x]` and `[ x ]` are read as by the SDKs.
                let words = name.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                section = words
                if sections[words] == nil { sections[words] = [:] }
            } else if let section, let equals = trimmed.firstIndex(of: "=") {
                let key = trimmed[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
                var value = trimmed[trimmed.index(after: equals)...].trimmingCharacters(in: .whitespaces)
                // A comment after a value has white space before it; a key may hold the sign itself.
                if let comment = value.firstRange(of: /\s[#;]/) {
                    value = value[..<comment.lowerBound].trimmingCharacters(in: .whitespaces)
                }
                sections[section]?[key] = value
            }
        }
    }
}

/// The rules for keys, and the prefix of the store in front of them.
///
/// Keys are split by bytes: for Swift, a slash and a following accent are one character.
struct ObjectKeySpace: Sendable, Hashable {
    /// S3's limit, in bytes of UTF-8.
    static let maximumBytes = 1024

    /// The text before each key: empty, or without a slash in front and with one at the end.
    let prefix: String

    /// A key space under `prefix`, which may have slashes at its ends.
    init(prefix: String) throws(InvalidKey) {
        let slash = UInt8(ascii: "/")
        let tail = prefix.utf8.drop { $0 == slash }
        let trimmed = String(
            decoding: tail.prefix(tail.count - tail.reversed().prefix { $0 == slash }.count), as: UTF8.self)
        if let problem = Self.problem(inPath: trimmed, isPrefix: true) { throw InvalidKey(problem: problem) }
        self.prefix = trimmed.isEmpty ? "" : trimmed + "/"
    }

    /// The full key for a key. Throws if the key breaks the rules.
    func fullKey(_ key: String) throws(InvalidKey) -> String {
        if key.isEmpty { throw InvalidKey(problem: "it is empty") }
        return try check(key, isPrefix: false)
    }

    /// The full prefix for a listing's prefix, which may be empty or end anywhere.
    func fullPrefix(_ prefix: String) throws(InvalidKey) -> String {
        try check(prefix, isPrefix: true)
    }

    /// The key of a full key; nil if it is outside of the prefix.
    func key(ofFull full: String) -> String? {
        guard let key = full.after(prefix) else { return nil }
        return (try? fullKey(key)).map { _ in key }
    }

    private func check(_ path: String, isPrefix: Bool) throws(InvalidKey) -> String {
        if let problem = Self.problem(inPath: path, isPrefix: isPrefix) { throw InvalidKey(problem: problem) }
        let full = prefix + path
        if full.utf8.count > Self.maximumBytes {
            throw InvalidKey(problem: "it has \(full.utf8.count) bytes, \(Self.maximumBytes) are allowed")
        }
        return full
    }

    private static func problem(inPath path: String, isPrefix: Bool) -> String? {
        if path.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            return "it has a control character"
        }
        if path.utf8.first == UInt8(ascii: "/") { return "it begins with a slash" }
        var components = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        // A listing's prefix may end in a slash.
        if isPrefix, components.last?.isEmpty == true { components.removeLast() }
        for component in components {
            if component.isEmpty { return "it has an empty component" }
            if component.elementsEqual(".".utf8) || component.elementsEqual("..".utf8) {
                return "it has the component '\(Substring(component))'"
            }
        }
        return nil
    }
}

/// The reason why a text is not a key.
struct InvalidKey: Error, Hashable {
    let problem: String
}

extension String {
    /// The text after a beginning of exactly these bytes; nil if it begins with others.
    func after(_ beginning: String) -> String? {
        guard utf8.starts(with: beginning.utf8) else { return nil }
        return String(decoding: utf8.dropFirst(beginning.utf8.count), as: UTF8.self)
    }

    /// The non-empty texts between slashes.
    var pathComponents: [String] {
        utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
    }
}

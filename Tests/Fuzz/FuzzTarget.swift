import Testing

/// One decoder of outside input, and what must hold for every input. To add one: write it in a file beside this one, put
/// it into `all`, and some inputs into `corpus/<name>/`.
struct FuzzTarget: Sendable, CustomTestStringConvertible {
    /// The folder of its inputs in `corpus`, and what `scripts/dev/fuzz.sh --target` takes.
    let name: String
    /// What its inputs are made of: mutations put these in, so that they get past the first comparison.
    let words: [String]
    /// Throws when something does not hold. What traps is found as well.
    let check: @Sendable ([UInt8]) throws -> Void

    static let all: [FuzzTarget] = [
        .credentials, .event, .identifiers, .lexer, .manifest, .places, .profile, .quoting, .s3Reply, .script,
        .settings,
        .totals,
    ]

    var testDescription: String { name }
}

/// Something that must hold and does not.
struct Violation: Error, CustomStringConvertible {
    let description: String
}

/// Throws when `condition` does not hold; `what` says what should.
func hold(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Violation(description: what()) }
}

/// What a person reads in a log or on a terminal: not longer than `most` bytes, and nothing in it that ends a line (but
/// where `lines` says that it has several) or steers a terminal.
func holdLoggable(_ text: String, most: Int, lines: Bool = false) throws {
    try hold(
        text.utf8.count <= most,
        "a text for people has at most \(most) bytes, not \(text.utf8.count): \(text.prefix(200))")
    for scalar in text.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control where !(lines && scalar == "\n"), .lineSeparator, .paragraphSeparator:
            throw Violation(description: "a text for people holds no control characters: \(text.debugDescription)")
        default: break
        }
    }
}

extension [UInt8] {
    /// The bytes before and after the first `separator`; without one, all bytes and none.
    func cut(at separator: String) -> (head: [UInt8], tail: [UInt8]) {
        guard let range = firstRange(of: Array(separator.utf8)) else { return (self, []) }
        return (Array(self[..<range.lowerBound]), Array(self[range.upperBound...]))
    }

    /// The bytes as text; what is not UTF-8 is repaired.
    var text: String { String(decoding: self, as: UTF8.self) }
}

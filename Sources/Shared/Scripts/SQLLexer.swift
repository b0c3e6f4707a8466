/// One token of a script. White space is not a token.
struct SQLToken: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// `-- …` without the end of its line.
        case lineComment
        /// `/* … */`, nested.
        case blockComment
        /// A keyword or plain identifier, in lower case.
        case word(String)
        /// `"…"`.
        case quotedIdentifier
        /// `'…'`, `E'…'`, `$tag$…$tag$`: the content as written, without its quotes; pieces on lines of their own
        /// (`'a'` and below it `'b'`) are one string.
        case string(String)
        /// `:'name'`.
        case literalParameter(String)
        /// `:"name"`.
        case identifierParameter(String)
        /// `:name`, which is refused.
        case bareParameter(String)
        case semicolon
        /// A number, an operator or a bracket.
        case other(UInt8)
    }

    var kind: Kind
    /// Byte offsets in the script's UTF-8.
    var range: Range<Int>
}

/// Splits a script into tokens as psql and the server do, to find its parameters and the ends of its statements. The
/// content of strings, quoted identifiers, dollar quotes and comments is skipped (PostgreSQL, "Lexical Structure";
/// psql, "SQL Interpolation").
struct SQLLexer {
    /// A quote or comment without its end.
    struct Unterminated: Error {
        let what: String
        let offset: Int
    }

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func tokens(of bytes: [UInt8]) throws(Unterminated) -> [SQLToken] {
        var lexer = SQLLexer(bytes)
        var tokens: [SQLToken] = []
        while let token = try lexer.next() { tokens.append(token) }
        return tokens
    }

    private mutating func next() throws(Unterminated) -> SQLToken? {
        while position < bytes.count, isSpace(bytes[position]) { position += 1 }
        guard position < bytes.count else { return nil }
        let start = position
        let kind = try scan()
        return SQLToken(kind: kind, range: start..<position)
    }

    private mutating func scan() throws(Unterminated) -> SQLToken.Kind {
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "-") where peek(1) == UInt8(ascii: "-"):
            skipLine()
            return .lineComment
        case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"):
            try skipBlockComment()
            return .blockComment
        case UInt8(ascii: "'"):
            return .string(try string(backslashes: false))
        case UInt8(ascii: "\""):
            _ = try quoted(by: byte, what: "quoted identifier", backslashes: false)
            return .quotedIdentifier
        case UInt8(ascii: "$"):
            if let text = try dollarQuoted() { return .string(text) }
            position += 1
            // `$1` ends after its digits, whatever follows.
            skipDigits()
            return .other(byte)
        case UInt8(ascii: ":"):
            return try colon()
        case UInt8(ascii: ";"):
            position += 1
            return .semicolon
        default:
            if isNameStart(byte) { return try word() }
            if isDigit(byte) { skipNumber() } else { position += 1 }
            return .other(byte)
        }
    }

    /// Skips to the end of the line, which a carriage return ends too.
    private mutating func skipLine() {
        while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x0D { position += 1 }
    }

    private mutating func skipDigits() {
        while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    }

    /// A number ends where it ends for the server: `1$$` is a number and the beginning of a dollar quote, `1e'` a
    /// number and the beginning of a string; `1..2` are two numbers.
    private mutating func skipNumber() {
        skipDigits()
        if peek(0) == UInt8(ascii: "."), peek(1) != UInt8(ascii: ".") {
            position += 1
            skipDigits()
        }
        guard peek(0) == UInt8(ascii: "e") || peek(0) == UInt8(ascii: "E") else { return }
        let sign = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-") ? 1 : 0
        if let byte = peek(1 + sign), isDigit(byte) {
            position += 1 + sign
            skipDigits()
        }
    }

    private mutating func word() throws(Unterminated) -> SQLToken.Kind {
        let start = position
        while position < bytes.count, isNamePart(bytes[position]) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self).lowercased()
        // e'…', b'…', x'…', n'…' and u&'…' are strings; only e'…' has backslashes.
        if position < bytes.count, bytes[position] == UInt8(ascii: "'"), ["e", "b", "x", "n"].contains(text) {
            return .string(try string(backslashes: text == "e"))
        }
        return .word(text)
    }

    private mutating func colon() throws(Unterminated) -> SQLToken.Kind {
        switch peek(1) {
        case UInt8(ascii: ":"), UInt8(ascii: "="):
            position += 2
            return .other(UInt8(ascii: ":"))
        case UInt8(ascii: "'"):
            position += 1
            return .literalParameter(try quoted(by: UInt8(ascii: "'"), what: "parameter", backslashes: false))
        case UInt8(ascii: "\""):
            position += 1
            return .identifierParameter(try quoted(by: UInt8(ascii: "\""), what: "parameter", backslashes: false))
        case let byte? where isTagPart(byte):
            position += 1
            let start = position
            while position < bytes.count, isTagPart(bytes[position]) { position += 1 }
            return .bareParameter(String(decoding: bytes[start..<position], as: UTF8.self))
        default:
            position += 1
            return .other(UInt8(ascii: ":"))
        }
    }

    /// A string that begins here, with its continuations: another quote after white space with a line end in it
    /// continues the string, and the meaning of backslashes remains (PostgreSQL, "String Constants").
    private mutating func string(backslashes: Bool) throws(Unterminated) -> String {
        var text = try quoted(by: UInt8(ascii: "'"), what: "string", backslashes: backslashes)
        while let next = continuation() {
            position = next
            text += try quoted(by: UInt8(ascii: "'"), what: "string", backslashes: backslashes)
        }
        return text
    }

    /// Returns the offset at which the string that has just ended is continued, or nil if it is not.
    private func continuation() -> Int? {
        var ahead = self
        var hasLineEnd = false
        while let byte = ahead.peek(0) {
            if byte == UInt8(ascii: "-"), ahead.peek(1) == byte {
                ahead.skipLine()
            } else if isSpace(byte) {
                hasLineEnd = hasLineEnd || byte == 0x0A || byte == 0x0D
                ahead.position += 1
            } else {
                return byte == UInt8(ascii: "'") && hasLineEnd ? ahead.position : nil
            }
        }
        return nil
    }

    /// The content between quotes; a doubled quote stays doubled.
    private mutating func quoted(by quote: UInt8, what: String, backslashes: Bool) throws(Unterminated) -> String {
        let start = position
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            if backslashes, byte == UInt8(ascii: "\\") {
                position += 2
            } else if byte == quote {
                if peek(1) == quote {
                    position += 2
                } else {
                    position += 1
                    return String(decoding: bytes[(start + 1)..<(position - 1)], as: UTF8.self)
                }
            } else {
                position += 1
            }
        }
        throw Unterminated(what: what, offset: start)
    }

    private mutating func dollarQuoted() throws(Unterminated) -> String? {
        var end = position + 1
        if end < bytes.count, isDigit(bytes[end]) { return nil }
        while end < bytes.count, isTagPart(bytes[end]) { end += 1 }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "$") else { return nil }
        let tag = Array(bytes[position...end])
        let contentStart = end + 1
        var index = contentStart
        while index + tag.count <= bytes.count {
            if bytes[index] == UInt8(ascii: "$"), Array(bytes[index..<(index + tag.count)]) == tag {
                position = index + tag.count
                return String(decoding: bytes[contentStart..<index], as: UTF8.self)
            }
            index += 1
        }
        throw Unterminated(what: "dollar-quoted string", offset: position)
    }

    private mutating func skipBlockComment() throws(Unterminated) {
        let start = position
        var depth = 0
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                position += 2
            } else if bytes[position] == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                position += 2
                if depth == 0 { return }
            } else {
                position += 1
            }
        }
        throw Unterminated(what: "comment", offset: start)
    }

    private func peek(_ distance: Int) -> UInt8? {
        position + distance < bytes.count ? bytes[position + distance] : nil
    }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
private func isNameStart(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_") || byte >= 0x80
}
/// Whether the byte may be part of the tag of a dollar quote, or of the name of a parameter.
private func isTagPart(_ byte: UInt8) -> Bool { isNameStart(byte) || isDigit(byte) }
private func isNamePart(_ byte: UInt8) -> Bool { isTagPart(byte) || byte == UInt8(ascii: "$") }

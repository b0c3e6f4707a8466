/// What psql and the server make of a script, by the rules of their scanners (src/fe_utils/psqlscan.l and
/// src/backend/parser/scan.l of PostgreSQL 15), written rule by rule and not as the product's lexer is.
///
/// Where the two differ from 14 and before, the older scanner is followed: `1e'x'` is a number and a string there, and a
/// syntax error since.
struct ReferenceLexer {
    enum Text { case code, space, comment, string, identifier, semicolon }

    /// What each byte belongs to.
    private(set) var texts: [Text]
    /// Where `:'name'` and `:"name"` are replaced.
    private(set) var parameters: [Range<Int>] = []
    /// Whether every quote and comment ends.
    private(set) var isTerminated = true

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        texts = Array(repeating: .code, count: bytes.count)
        while position < bytes.count, isTerminated { scan() }
    }

    /// White space is code for the product's lexer.
    func agrees(_ text: Text, at index: Int) -> Bool { text == texts[index] || text == .code && texts[index] == .space }

    private mutating func scan() {
        let rest = position..<bytes.count
        if let end = spaces(rest.lowerBound) { return take(to: end, .space) }
        if let end = lineComment(position) { return take(to: end, .comment) }
        if matches("/*", at: position) { return blockComment() }
        // xbstart, xhstart, xnstart, xestart, xusstart, xqstart: the letter and the quote must be adjacent.
        for letter in ["b", "B", "x", "X", "n", "N", "e", "E", "u&", "U&", ""] where matches(letter + "'", at: position)
        {
            // N'…' is a word and a string, U& an identifier and an operator if no quote follows.
            return string(
                from: position + letter.utf8.count, hasBackslashes: letter == "e" || letter == "E", mark: letter)
        }
        if matches("u&\"", at: position) || matches("U&\"", at: position) { return identifier(from: position + 2) }
        if matches("\"", at: position) { return identifier(from: position) }
        if let end = dollarDelimiter(position) { return dollarString(to: end) }
        if matches("$", at: position), position + 1 < bytes.count, isDigit(position + 1) {
            return take(to: digits(position + 1), .code)
        }
        if matches("::", at: position) || matches(":=", at: position) { return take(to: position + 2, .code) }
        for quote in ["'", "\""] where matches(":" + quote, at: position) {
            let end = name(position + 2)
            guard end > position + 2, matches(quote, at: end) else { continue }
            parameters.append(position..<(end + 1))
            return take(to: end + 1, quote == "'" ? .string : .identifier)
        }
        if matches(":", at: position) { return take(to: max(position + 1, name(position + 1)), .code) }
        if isIdentifierStart(position) {
            var end = position
            while end < bytes.count, isIdentifierPart(end) { end += 1 }
            return take(to: end, .code)
        }
        if isDigit(position) { return number() }
        take(to: position + 1, matches(";", at: position) ? .semicolon : .code)
    }

    private mutating func take(to end: Int, _ text: Text) {
        for index in position..<end { texts[index] = text }
        position = end
    }

    // MARK: rules

    private func spaces(_ start: Int) -> Int? {
        var end = start
        while end < bytes.count, bytes[end] == 0x20 || (9...13).contains(bytes[end]) { end += 1 }
        return end > start ? end : nil
    }

    /// `"--"{non_newline}*`, where a carriage return is a newline as well.
    private func lineComment(_ start: Int) -> Int? {
        guard matches("--", at: start) else { return nil }
        return bytes[start...].firstIndex { $0 == 10 || $0 == 13 } ?? bytes.count
    }

    private mutating func blockComment() {
        var depth = 0
        var end = position
        repeat {
            if matches("/*", at: end) {
                depth += 1
                end += 2
            } else if matches("*/", at: end) {
                depth -= 1
                end += 2
            } else {
                end += 1
            }
        } while depth > 0 && end < bytes.count
        isTerminated = depth == 0
        take(to: end, .comment)
    }

    private mutating func string(from quote: Int, hasBackslashes: Bool, mark: String) {
        // An e, b, x or n belongs to its string; `U&` does for the server, and is a word and an operator here.
        if mark.hasPrefix("u") || mark.hasPrefix("U") { take(to: quote, .code) }
        var start = quote
        while true {
            guard let end = stringEnd(start + 1, hasBackslashes: hasBackslashes) else {
                isTerminated = false
                return
            }
            take(to: end, .string)
            // quotecontinue: a quote after white space with a newline goes on with the same string.
            guard let next = continuation(end) else { return }
            take(to: next, .string)
            start = next
        }
    }

    private func stringEnd(_ start: Int, hasBackslashes: Bool) -> Int? {
        var index = start
        while index < bytes.count {
            if hasBackslashes, bytes[index] == UInt8(ascii: "\\") {
                index += 2
            } else if matches("''", at: index) {
                index += 2
            } else if matches("'", at: index) {
                return index + 1
            } else {
                index += 1
            }
        }
        return nil
    }

    /// `{horiz_whitespace}*{newline}{special_whitespace}*'`: where the quote is.
    private func continuation(_ start: Int) -> Int? {
        var index = start
        var hasNewline = false
        while index < bytes.count {
            if bytes[index] == 10 || bytes[index] == 13 {
                hasNewline = true
                index += 1
            } else if bytes[index] == 0x20 || (9...13).contains(bytes[index]) {
                index += 1
            } else if let end = lineComment(index), end < bytes.count {
                index = end
            } else {
                return hasNewline && matches("'", at: index) ? index : nil
            }
        }
        return nil
    }

    private mutating func identifier(from quote: Int) {
        if quote > position { take(to: quote, .code) }
        var index = quote + 1
        while index < bytes.count {
            if matches("\"\"", at: index) {
                index += 2
            } else if matches("\"", at: index) {
                return take(to: index + 1, .identifier)
            } else {
                index += 1
            }
        }
        isTerminated = false
    }

    /// `\$({dolq_start}{dolq_cont}*)?\$`: where it ends.
    private func dollarDelimiter(_ start: Int) -> Int? {
        guard matches("$", at: start) else { return nil }
        var index = start + 1
        if index < bytes.count, isIdentifierStart(index) {
            while index < bytes.count, isIdentifierPart(index), bytes[index] != UInt8(ascii: "$") { index += 1 }
        }
        return matches("$", at: index) ? index + 1 : nil
    }

    private mutating func dollarString(to contentStart: Int) {
        let delimiter = bytes[position..<contentStart]
        guard let end = bytes[contentStart...].firstRange(of: delimiter)?.upperBound else {
            isTerminated = false
            return
        }
        take(to: end, .string)
    }

    /// integer, decimal, real; `1..2` is a number and two dots.
    private mutating func number() {
        var end = digits(position)
        if matches(".", at: end), !matches("..", at: end) { end = digits(end + 1) }
        if matches("e", at: end) || matches("E", at: end) {
            let sign = matches("+", at: end + 1) || matches("-", at: end + 1) ? 1 : 0
            let exponent = digits(end + 1 + sign)
            if exponent > end + 1 + sign { end = exponent }
        }
        take(to: end, .code)
    }

    // MARK: bytes

    private func matches(_ text: String, at index: Int) -> Bool {
        index + text.utf8.count <= bytes.count && bytes[index...].starts(with: text.utf8)
    }

    private func isDigit(_ index: Int) -> Bool { (0x30...0x39).contains(bytes[index]) }

    private func digits(_ start: Int) -> Int {
        var end = start
        while end < bytes.count, isDigit(end) { end += 1 }
        return end
    }

    private func isIdentifierStart(_ index: Int) -> Bool {
        switch bytes[index] {
        case 0x41...0x5A, 0x5F, 0x61...0x7A, 0x80...: true
        default: false
        }
    }

    private func isIdentifierPart(_ index: Int) -> Bool {
        isIdentifierStart(index) || isDigit(index) || bytes[index] == UInt8(ascii: "$")
    }

    /// `{variable_char}*`: where it ends.
    private func name(_ start: Int) -> Int {
        var end = start
        while end < bytes.count, isIdentifierStart(end) || isDigit(end) { end += 1 }
        return end
    }
}

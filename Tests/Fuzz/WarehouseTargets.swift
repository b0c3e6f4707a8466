import JobModel

@testable import Postgres
@testable import Scripts
@testable import Ledger

extension FuzzTarget {
    private static let sqlWords = [
        "SELECT ", " FROM ", "INSERT INTO ", ":'partition'", ":\"work\"", ":bare", "::", ":=", ":'", "''", "'", "\"",
        "E'",
        "\\'", "\\", "$$", "$a$", "$1", "1$$", "1e", "--", "/*", "*/", "\n", "\r", ";", "U&'", "x'", "b'", "N'",
        "\u{0}", "\u{301}",
        "now()", "current_date",
    ]

    /// A script as the lexer sees it, compared with the rules of PostgreSQL's own.
    static let lexer = FuzzTarget(name: "lexer", words: sqlWords) { input in
        let bytes = Array(input.text.utf8)
        let reference = ReferenceLexer(bytes)
        let tokens: [SQLToken]
        do throws(SQLLexer.Unterminated) {
            tokens = try SQLLexer.tokens(of: bytes)
        } catch {
            try hold(!reference.isTerminated, "what ends for psql ends: \(error)")
            return
        }
        try hold(reference.isTerminated, "what does not end for psql does not end")
        var end = 0
        var texts = [ReferenceLexer.Text](repeating: .code, count: bytes.count)
        var parameters: [Range<Int>] = []
        var hasUnknownParameter = false
        for token in tokens {
            try hold(token.range.lowerBound >= end && !token.range.isEmpty, "tokens follow each other")
            try hold(isWhiteSpace(bytes[end..<token.range.lowerBound]), "between tokens is white space")
            end = token.range.upperBound
            let text: ReferenceLexer.Text
            switch token.kind {
            case .lineComment, .blockComment: text = .comment
            case .string: text = .string
            case .quotedIdentifier: text = .identifier
            case .semicolon: text = .semicolon
            case .literalParameter(let name):
                text = .string
                parameters.append(token.range)
                hasUnknownParameter = hasUnknownParameter || !ScriptParameters.literalNames.contains(name)
            case .identifierParameter(let name):
                text = .identifier
                parameters.append(token.range)
                hasUnknownParameter = hasUnknownParameter || !ScriptParameters.identifierNames.contains(name)
            case .word, .bareParameter, .other: continue
            }
            for index in token.range { texts[index] = text }
        }
        try hold(isWhiteSpace(bytes[end...]), "after the tokens is white space")
        // `:'no name'` is a colon and a string for psql, and an unknown parameter here: the script is refused anyway.
        if hasUnknownParameter { return }
        if let index = texts.indices.first(where: { !reference.agrees(texts[$0], at: $0) }) {
            throw Violation(description: "byte \(index) is \(texts[index]), and \(reference.texts[index]) for psql")
        }
        try hold(parameters == reference.parameters, "parameters are where psql sees them")
    }

    private static func isWhiteSpace(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.allSatisfy { $0 == 0x20 || (9...13).contains($0) }
    }

    /// A file of each kind of script: header, statements, parameters.
    static let script = FuzzTarget(
        name: "script",
        words: sqlWords + [
            "-- @segment a.b\n", "-- @reads run\n", "-- @reads vault\n", "-- @needs a.c, a.d\n", "-- @split none\n",
            "-- @split bucket\n", "-- @writes t\n", "-- @key a\n", "-- @totals x, y by z\n",
            "-- @severity warn\n", "-- @hint do it\n", "-- @table t\n", "-- @view v\n", " by ", ",", "@",
            "CREATE TABLE ",
            ":'cutoff'", ":'client_id'", "\r\n",
        ]
    ) { input in
        guard let text = String(validating: input, as: UTF8.self) else { return }
        for kind in SegmentKind.allCases {
            var problems: [ScriptProblem] = []
            let script = ScriptText(text: text, file: "fuzz.sql", problems: &problems)
            if let segment = SegmentScript(text: script, kind: kind, problems: &problems), problems.isEmpty {
                try checkSegment(segment, kind)
            } else {
                try hold(!problems.isEmpty, "a script that is refused has a problem")
            }
            try checkProblems(problems, text)
        }
        var problems: [ScriptProblem] = []
        let script = ScriptText(text: text, file: "fuzz.sql", problems: &problems)
        if let table = TableScript(text: script, problems: &problems), problems.isEmpty {
            try hold(table.name.wholeMatch(of: /[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?/) != nil, "a table's name is plain")
            try checkStatements(of: table.text)
        }
        try checkProblems(problems, text)
    }

    private static func checkProblems(_ problems: [ScriptProblem], _ text: String) throws {
        let lines = 1 + text.utf8.count { $0 == UInt8(ascii: "\n") }
        for problem in problems {
            try holdLoggable(problem.description, most: 2000)
            try hold((1...lines).contains(problem.line ?? 1), "a problem lies in a line of the file")
        }
    }

    private static func checkSegment(_ script: SegmentScript, _ kind: SegmentKind) throws {
        let segment = script.segment
        try hold(segment.kind == kind, "the folder says the kind")
        if kind == .archive { try hold(!segment.key.isEmpty, "an archive has a key") }
        for name in segment.key + segment.totals + segment.writes + (segment.totalsBy.map { [$0] } ?? []) {
            try hold(!name.isEmpty && name.trimmed == name && !name.contains(","), "a list has names: \(segment)")
        }
        if kind != .`init`, kind != .history { try hold(script.text.statementCount == 1, "it is one SELECT") }
        try checkStatements(of: script.text)
    }

    /// Filled in, a script has the same statements, and literals where the parameters were, whatever the values are.
    private static func checkStatements(of script: ScriptText) throws {
        var parameters = ScriptParameters(
            runID: try RunID("20260401t031500123z_7f3a"), clientID: "o'\u{301}hara\\'; --",
            environment: "$$/*:'cutoff'",
            businessDate: try BusinessDate("2026-03-31"), cutoff: "2026-04-01T03:00:00.000Z",
            partitionCount: 16, startedAt: "2026-04-01T03:15:00.000Z")
        parameters.partition = 3
        let statements = try script.statements(with: parameters)
        try hold(statements.count == script.statementCount, "filling in leaves the number of statements")
        for (tokens, statement) in zip(script.tokenStatements, statements) {
            try hold(!statement.utf8.contains(0), "a statement holds no zero byte")
            let filled = try SQLLexer.tokens(of: Array(statement.utf8)).map(\.kind).filter {
                $0 != .lineComment && $0 != .blockComment
            }
            try hold(filled.count == tokens.count, "filling in leaves the number of tokens: \(statement)")
            for (before, after) in zip(tokens.map(\.kind), filled) {
                switch before {
                case .literalParameter:
                    guard case .string = after else {
                        throw Violation(description: "a literal is one string: \(statement)")
                    }
                case .identifierParameter:
                    try hold(after == .quotedIdentifier, "an identifier is one name: \(statement)")
                default: try hold(before == after, "the rest stays: \(statement)")
                }
            }
        }
    }

    /// A text as a literal, an identifier and an element of an array.
    static let quoting = FuzzTarget(
        name: "quoting",
        words: ["'", "\"", "\\", "''", "\\'", "'\u{301}", "\"\u{301}", "\\\u{301}", "$$", "--", "{", ",", "\r\n"]
    ) { input in
        guard let text = String(validating: input, as: UTF8.self), !text.utf8.contains(0) else { return }
        let literal = Array(SQL.literal(text).utf8)
        let tokens = ReferenceLexer(literal)
        try hold(
            tokens.isTerminated && tokens.texts.allSatisfy { $0 == .string || $0 == .space }, "a literal is one string")
        let identifier = Array(SQL.identifier(text).utf8)
        let names = ReferenceLexer(identifier)
        try hold(names.isTerminated && names.texts.allSatisfy { $0 == .identifier }, "an identifier is one name")
        try hold(unquoted(literal, by: UInt8(ascii: "'")) == input, "a literal is its text")
        try hold(unquoted(identifier, by: UInt8(ascii: "\"")) == input, "an identifier is its text")
        try hold(
            arrayElements(Array(SQL.array([text, "x"]).utf8)) == [input, [UInt8(ascii: "x")]], "an array has its texts")
    }

    /// The bytes between quotes; doubled quotes and doubled backslashes count once.
    private static func unquoted(_ bytes: [UInt8], by quote: UInt8) -> [UInt8] {
        var content: [UInt8] = []
        let start = bytes.firstIndex(of: quote)!
        let escapes = start > 0
        var index = start + 1
        while index < bytes.count - 1 {
            if bytes[index] == quote || (escapes && bytes[index] == UInt8(ascii: "\\")) { index += 1 }
            content.append(bytes[index])
            index += 1
        }
        return content
    }

    /// PostgreSQL, "Array Input and Output Syntax", for quoted elements.
    private static func arrayElements(_ bytes: [UInt8]) -> [[UInt8]] {
        var elements: [[UInt8]] = []
        var isInside = false
        var index = 1
        while index < bytes.count - 1 {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                isInside.toggle()
                if isInside { elements.append([]) }
            } else if isInside {
                if byte == UInt8(ascii: "\\") { index += 1 }
                elements[elements.count - 1].append(bytes[index])
            }
            index += 1
        }
        return elements
    }
}

package import JobModel
import Postgres

/// One problem of a script, with its place.
package struct ScriptProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path from the scripts folder.
    package let file: String
    /// Counted from 1; nil for the file as a whole.
    package let line: Int?
    package let message: String

    /// `message` may quote the script, so it is shortened and made safe to print.
    package init(file: String, line: Int?, message: String) {
        self.file = file
        self.line = line
        self.message = message.loggable(atMost: 400)
    }

    package var description: String { line.map { "\(file):\($0): \(message)" } ?? "\(file): \(message)" }
}

/// The values of a script's parameters. Each was checked against its type before, and is quoted when it is inserted.
package struct ScriptParameters: Sendable {
    package var runID: RunID
    /// `BDA_CLIENT_ID`.
    package var clientID: String
    /// `BDA_ENVIRONMENT`.
    package var environment: String
    /// The day whose data are exported.
    package var businessDate: BusinessDate
    /// RFC 3339.
    package var cutoff: String
    /// The number of customer buckets.
    package var partitionCount: Int
    /// The bucket of a job that is split by bucket.
    package var partition: Int?
    /// The start of the run, RFC 3339, by the database's clock. Only prechecks may use it: no figure may depend on it.
    package var startedAt: String
    /// `BDA_HISTORY_DAYS`, for history segments only; 0 keeps all days.
    package var historyDays = 0

    /// The parameters of a run, without those of a job.
    package init(
        runID: RunID, clientID: String, environment: String, businessDate: BusinessDate, cutoff: String,
        partitionCount: Int, startedAt: String
    ) {
        self.runID = runID
        self.clientID = clientID
        self.environment = environment
        self.businessDate = businessDate
        self.cutoff = cutoff
        self.partitionCount = partitionCount
        self.startedAt = startedAt
    }

    /// The names that a script may use as `:'name'`. The only name of the form `:"name"` is `work`, the run's schema.
    static let literalNames: Set<String> = [
        "business_date", "cutoff", "partition", "partition_count", "run_id", "client_id", "environment",
        "started_at", "history_days", "work",
    ]
    static let identifierNames: Set<String> = ["work"]

    func literal(_ name: String) -> String? {
        switch name {
        case "business_date": businessDate.description
        case "cutoff": cutoff
        case "partition": partition.map { "\($0)" }
        case "partition_count": "\(partitionCount)"
        case "run_id": runID.description
        case "client_id": clientID
        case "environment": environment
        case "started_at": startedAt
        case "history_days": "\(historyDays)"
        case "work": workSchema
        default: nil
        }
    }

    var workSchema: String { runID.schemaName }
}

/// The text of a script, split into statements whose parameters can be filled in.
package struct ScriptText: Sendable {
    /// The file's exact content.
    package let text: String
    /// The path from the scripts folder.
    package let file: String

    private let bytes: [UInt8]
    private let statements: [[SQLToken]]

    var tokenStatements: [[SQLToken]] { statements }
    let leadingComments: [(line: Int, text: String)]

    /// Splits the text and collects the problems of its tokens.
    package init(text: String, file: String, problems: inout [ScriptProblem]) {
        self.text = text
        self.file = file
        bytes = Array(text.utf8)
        if let zero = bytes.firstIndex(of: 0) {
            problems.append(
                ScriptProblem(file: file, line: Self.line(of: zero, in: bytes), message: "the script holds a zero byte")
            )
        }
        var statements: [[SQLToken]] = [[]]
        var comments: [(Int, String)] = []
        do {
            for token in try SQLLexer.tokens(of: bytes) {
                switch token.kind {
                case .lineComment:
                    if statements == [[]] {
                        comments.append(
                            (
                                Self.line(of: token.range.lowerBound, in: bytes),
                                String(decoding: bytes[token.range], as: UTF8.self)
                            ))
                    }
                case .blockComment: break
                case .semicolon: statements.append([])
                default: statements[statements.count - 1].append(token)
                }
            }
        } catch {
            problems.append(
                ScriptProblem(
                    file: file, line: Self.line(of: error.offset, in: bytes), message: "a \(error.what) does not end"))
        }
        self.statements = statements.filter { !$0.isEmpty }
        leadingComments = comments
        problems += parameterProblems()
    }

    /// Reads a text from the ledger, which was checked before it was stored.
    package init(checked text: String, file: String) throws {
        var problems: [ScriptProblem] = []
        self.init(text: text, file: file, problems: &problems)
        if let problem = problems.first { throw problem }
    }

    package var statementCount: Int { statements.count }

    /// The first word of each statement, in lower case.
    var firstWords: [(word: String, line: Int)] {
        statements.map { tokens in
            let line = Self.line(of: tokens[0].range.lowerBound, in: bytes)
            if case .word(let word) = tokens[0].kind { return (word, line) }
            return ("", line)
        }
    }

    /// The statements with their parameters filled in, without semicolons.
    ///
    /// Throws a `ScriptProblem` for a parameter that this job does not have.
    package func statements(with parameters: ScriptParameters) throws(ScriptProblem) -> [String] {
        var texts: [String] = []
        for tokens in statements {
            var text: [UInt8] = []
            var position = tokens[0].range.lowerBound
            for token in tokens {
                let filled: String
                switch token.kind {
                case .literalParameter(let name):
                    guard let value = parameters.literal(name) else {
                        throw ScriptProblem(
                            file: file, line: Self.line(of: token.range.lowerBound, in: bytes),
                            message: "the parameter '\(name)' has no value in a segment with this @split")
                    }
                    filled = SQL.literal(value)
                case .identifierParameter: filled = SQL.identifier(parameters.workSchema)
                default: continue
                }
                text += bytes[position..<token.range.lowerBound]
                text += Array(filled.utf8)
                position = token.range.upperBound
            }
            text += bytes[position..<tokens.last!.range.upperBound]
            texts.append(String(decoding: text, as: UTF8.self))
        }
        return texts
    }

    var parameterNames: Set<String> {
        Set(
            statements.joined().compactMap {
                switch $0.kind {
                case .literalParameter(let name), .identifierParameter(let name): name
                default: nil
                }
            })
    }

    // MARK: Checks

    private func parameterProblems() -> [ScriptProblem] {
        statements.joined().compactMap { token in
            let message: String
            switch token.kind {
            case .literalParameter(let name) where !ScriptParameters.literalNames.contains(name):
                message =
                    "unknown parameter ':'\(name)''; allowed are \(ScriptParameters.literalNames.sorted().joined(separator: ", "))"
            case .identifierParameter(let name) where !ScriptParameters.identifierNames.contains(name):
                message = "unknown parameter ':\"\(name)\"'; the only one of this form is :\"work\""
            case .bareParameter(let name):
                message = "the bare parameter ':\(name)' is refused; write :'\(name)' for a literal"
            case .other(UInt8(ascii: "\\")):
                message = "a backslash command of psql is not SQL"
            default: return nil
            }
            return ScriptProblem(file: file, line: Self.line(of: token.range.lowerBound, in: bytes), message: message)
        }
    }

    /// Literals that name a time relative to the clock. The server turns them into constants during parsing, so its
    /// query trees do not show them; functions that depend on the time are found there (`Relations`).
    func clockLiteralProblems() -> [ScriptProblem] {
        statements.joined().compactMap { token in
            guard case .string(let text) = token.kind,
                let word = text.lowercased().split(whereSeparator: \.isWhitespace).first,
                ["now", "today", "yesterday", "tomorrow"].contains(word), text.count < 40
            else { return nil }
            return ScriptProblem(
                file: file, line: Self.line(of: token.range.lowerBound, in: bytes),
                message: "'\(text)' makes the result depend on when it is computed; use :'business_date' or :'cutoff'")
        }
    }

    private static func line(of offset: Int, in bytes: [UInt8]) -> Int {
        1 + bytes[..<min(offset, bytes.count)].count { $0 == UInt8(ascii: "\n") }
    }
}

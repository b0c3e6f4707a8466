import Bytes
package import JobModel

/// A segment's script: its header, its text and the text's digest.
package struct SegmentScript: Sendable {
    package let segment: Segment
    package let text: ScriptText
    /// SHA-256 of the whole file, hexadecimal.
    package let digest: String
    /// The free text of the header's first lines.
    package let summary: String
}

/// A table's script: CREATE TABLE and its indexes.
package struct TableScript: Sendable {
    /// A name without a schema is a table of each run; one with a schema is a permanent table, such as a history.
    package let name: String
    /// The view in `report_oibl` that shows the newest published run's rows; nil for an internal table.
    package let view: String?
    package let text: ScriptText
    /// SHA-256 of the file, hexadecimal.
    package let digest: String

    package var isPermanent: Bool { name.contains(".") }
}

/// The tags of a script's header: `-- @tag value` in the leading comments.
struct ScriptHeader {
    let file: String
    private(set) var values: [String: (value: String, line: Int)] = [:]
    private(set) var summary = ""

    init(_ text: ScriptText, allowed: Set<String>, problems: inout [ScriptProblem]) {
        file = text.file
        var sentences: [String] = []
        for (line, comment) in text.leadingComments {
            let content = comment.drop { $0 == "-" }.trimmed
            guard content.hasPrefix("@") else {
                if values.isEmpty, !content.isEmpty { sentences.append(content) }
                continue
            }
            let tag = String(content.dropFirst().prefix { !$0.isWhitespace })
            let value = content.dropFirst(tag.count + 1).description.trimmed
            if !allowed.contains(tag) {
                problems.append(
                    ScriptProblem(
                        file: file, line: line,
                        message:
                            "unknown tag '@\(tag)'; allowed here are \(allowed.sorted().map { "@" + $0 }.joined(separator: ", "))"
                    ))
            } else if let first = values[tag] {
                problems.append(
                    ScriptProblem(
                        file: file, line: line, message: "the tag '@\(tag)' is already given in line \(first.line)"))
            } else if value.isEmpty {
                problems.append(ScriptProblem(file: file, line: line, message: "the tag '@\(tag)' has no value"))
            } else {
                values[tag] = (value, line)
            }
        }
        summary = sentences.joined(separator: " ")
    }

    func required(_ tag: String, problems: inout [ScriptProblem]) -> String? {
        if let value = values[tag]?.value { return value }
        problems.append(ScriptProblem(file: file, line: nil, message: "the tag '@\(tag)' is missing in the header"))
        return nil
    }

    func list(_ tag: String) -> [String] {
        values[tag].map { $0.value.split(separator: ",").map { $0.description.trimmed }.filter { !$0.isEmpty } } ?? []
    }

    func problem(_ tag: String, _ message: String) -> ScriptProblem {
        ScriptProblem(file: file, line: values[tag]?.line, message: message)
    }
}

extension SegmentScript {
    /// Reads the header and checks the text. Returns nil if the script has a problem.
    package init?(text: ScriptText, kind: SegmentKind, problems: inout [ScriptProblem]) {
        let before = problems.count
        let header = ScriptHeader(text, allowed: Self.allowedTags(of: kind), problems: &problems)
        var name: SegmentName?
        if let given = header.required("segment", problems: &problems) {
            do { name = try SegmentName(given) } catch { problems.append(header.problem("segment", "\(error)")) }
        }
        var reads: SegmentReads?
        if let given = header.required("reads", problems: &problems) {
            reads = SegmentReads(rawValue: given)
            switch (reads, kind) {
            case (nil, _): problems.append(header.problem("reads", "'@reads \(given)' is neither vault nor run"))
            case (.run, .precheck):
                problems.append(
                    header.problem("reads", "a precheck runs before the run's tables exist: write @reads vault"))
            case (.vault, .postcheck), (.vault, .history):
                problems.append(
                    header.problem("reads", "a \(kind.rawValue) reads tables of the run: write @reads run"))
            default: break
            }
        }
        var needs: [SegmentName] = []
        for text in header.list("needs") {
            do { needs.append(try SegmentName(text)) } catch { problems.append(header.problem("needs", "\(error)")) }
        }
        var split = SegmentSplit.bucket
        if let given = header.values["split"]?.value {
            switch given {
            case "bucket": split = .bucket
            case "none": split = .none
            default: problems.append(header.problem("split", "'@split \(given)' is neither bucket nor none"))
            }
        } else if !kind.isJob {
            split = .none
        }
        var totals: [String] = []
        var totalsBy: String?
        if let given = header.values["totals"]?.value {
            let halves = given.split(separator: " by ")
            totals = halves[0].split(separator: ",").map { $0.description.trimmed }
            if halves.count == 2 { totalsBy = halves[1].trimmed }
            if halves.count > 2 || totals.isEmpty {
                problems.append(header.problem("totals", "'@totals \(given)' is not: column, column by column"))
            }
        }
        var severity = Severity.error
        if kind == .precheck || kind == .postcheck {
            if let given = header.required("severity", problems: &problems) {
                if let known = Severity(rawValue: given) {
                    severity = known
                } else {
                    problems.append(header.problem("severity", "'@severity \(given)' is neither error nor warn"))
                }
            }
            _ = header.required("hint", problems: &problems)
        }
        if kind == .archive { _ = header.required("key", problems: &problems) }
        if kind == .`init` || kind == .history { _ = header.required("writes", problems: &problems) }
        problems += text.clockLiteralProblems()
        problems += Self.statementProblems(of: text, kind: kind)
        problems += Self.parameterProblems(of: text, kind: kind, split: split)
        guard problems.count == before, let name, let reads else { return nil }
        segment = Segment(
            name: name, kind: kind, needs: needs, split: split, reads: reads, writes: header.list("writes"),
            key: header.list("key"), totals: totals, totalsBy: totalsBy, severity: severity,
            hint: header.values["hint"]?.value)
        self.text = text
        digest = SHA256.hash(text.text).hex
        summary = header.summary
    }

    private static func allowedTags(of kind: SegmentKind) -> Set<String> {
        switch kind {
        case .precheck, .postcheck: ["segment", "reads", "severity", "hint"]
        case .`init`: ["segment", "needs", "split", "reads", "writes"]
        case .archive: ["segment", "needs", "split", "reads", "key", "totals"]
        case .history: ["segment", "reads", "writes"]
        }
    }

    /// A statement's first word must be in a closed list, because other statements could end the transaction, change
    /// the session or reach beyond the database.
    private static func statementProblems(of text: ScriptText, kind: SegmentKind) -> [ScriptProblem] {
        let allowed: [String] =
            switch kind {
            case .precheck, .postcheck, .archive: ["select", "with"]
            case .`init`: ["insert", "with"]
            case .history: ["insert", "update", "delete", "merge", "with", "select"]
            }
        var problems = text.firstWords.filter { !allowed.contains($0.word) }.map { word, line in
            ScriptProblem(
                file: text.file, line: line,
                message:
                    "a statement of \(kind == .archive || kind == .`init` ? "an" : "a") \(kind.rawValue) script begins with '\(word.uppercased())'; allowed are \(allowed.map { $0.uppercased() }.joined(separator: ", "))"
            )
        }
        if kind != .`init`, kind != .history, text.statementCount != 1 {
            problems.append(
                ScriptProblem(
                    file: text.file, line: nil,
                    message: "the script must hold exactly one SELECT, not \(text.statementCount) statements"))
        } else if text.statementCount == 0 {
            problems.append(ScriptProblem(file: text.file, line: nil, message: "the script holds no statement"))
        }
        return problems
    }

    private static func parameterProblems(
        of text: ScriptText, kind: SegmentKind, split: SegmentSplit
    ) -> [ScriptProblem] {
        let used = text.parameterNames
        var problems: [ScriptProblem] = []
        func add(_ message: String) { problems.append(ScriptProblem(file: text.file, line: nil, message: message)) }
        if kind != .precheck, used.contains("started_at") {
            add(":'started_at' may only be used in prechecks: no figure may depend on when a run began")
        }
        if kind != .history, used.contains("history_days") {
            add(":'history_days' may only be used in history scripts")
        }
        switch split {
        case .bucket where !used.contains("partition"):
            add("a segment split by bucket must use :'partition'; otherwise write '@split none'")
        case .none where used.contains("partition"):
            add(":'partition' has no value in a segment that is not split")
        case .bucket, .none: break
        }
        return problems
    }
}

extension TableScript {
    init?(text: ScriptText, problems: inout [ScriptProblem]) {
        let before = problems.count
        let header = ScriptHeader(text, allowed: ["table", "view"], problems: &problems)
        let name = header.required("table", problems: &problems)
        for (word, line) in text.firstWords where !["create", "comment"].contains(word) {
            problems.append(
                ScriptProblem(
                    file: text.file, line: line,
                    message:
                        "a statement of a table script begins with '\(word.uppercased())'; allowed are CREATE, COMMENT")
            )
        }
        if !text.parameterNames.isSubset(of: ["work"]) {
            problems.append(
                ScriptProblem(file: text.file, line: nil, message: "the only parameter of a table script is :\"work\""))
        }
        let parts = (name ?? "").split(separator: ".")
        if let name, !(1...2).contains(parts.count) || !parts.allSatisfy({ (try? SegmentName("a.\($0)")) != nil }) {
            problems.append(
                header.problem("table", "'@table \(name)' is neither table nor schema.table in plain lower-case names"))
        }
        if let view = header.values["view"]?.value, (try? SegmentName("a.\(view)")) == nil || parts.count == 2 {
            problems.append(
                header.problem(
                    "view", "'@view \(view)' must be a plain lower-case name, and a permanent table has none"))
        }
        guard problems.count == before, let name else { return nil }
        self.name = name
        view = header.values["view"]?.value
        self.text = text
        digest = SHA256.hash(text.text).hex
    }
}

extension StringProtocol {
    var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}

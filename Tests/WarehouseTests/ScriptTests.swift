import Foundation
import JobModel
import Testing

@testable import Scripts
@testable import Ledger

@Suite struct SQLLexerTests {
    private func kinds(_ text: String) throws -> [SQLToken.Kind] {
        try SQLLexer.tokens(of: Array(text.utf8)).map(\.kind)
    }

    @Test func parametersAreFoundAndNothingInsideQuotesAndCommentsIs() throws {
        #expect(try kinds(":'a'") == [.literalParameter("a")])
        #expect(try kinds(":\"work\"") == [.identifierParameter("work")])
        #expect(try kinds(":bare") == [.bareParameter("bare")])
        #expect(
            try kinds("':a' \":b\" -- :c\n/* :d /* :e */ */ $$ :f $$ $x$ :g $x$ E'\\' :h'")
                == [
                    .string(":a"), .quotedIdentifier, .lineComment, .blockComment, .string(" :f "), .string(" :g "),
                    .string("\\' :h"),
                ])
        #expect(try kinds("a::text").contains { if case .bareParameter = $0 { true } else { false } } == false)
    }

    /// psqlscan.l and scan.l: a carriage return ends a comment, an E'' string goes on in the next line with its
    /// backslashes, and a number ends before a dollar quote and before the letter of a string.
    @Test func whatTheServerSeesOutsideOfQuotesAndCommentsIsSeen() throws {
        #expect(try kinds("-- a\r:'b'") == [.lineComment, .literalParameter("b")])
        #expect(try kinds("E'a' -- :'b'\n'\\' :''c' :'d'") == [.string("a\\' :''c"), .literalParameter("d")])
        #expect(try kinds("'a'\n'b' 'c'") == [.string("ab"), .string("c")])
        #expect(try kinds("1$$ ' $$ :'a'") == [.other(UInt8(ascii: "1")), .string(" ' "), .literalParameter("a")])
        #expect(try kinds("$1$$ ' $$").last == .string(" ' "))
        #expect(try kinds("1e'\\' :''a'") == [.other(UInt8(ascii: "1")), .string("\\' :''a")])
        #expect(try kinds(":a$$ ' $$") == [.bareParameter("a"), .string(" ' ")])
    }

    @Test func numbersAndWordsKeepApart() throws {
        #expect(try kinds("1e5").count == 1)
        #expect(try kinds("1.5e-5").count == 1)
        #expect(try kinds("1now()").contains(.word("now")))
        #expect(try kinds("now_1 NOW") == [.word("now_1"), .word("now")])
    }

    @Test(arguments: ["'abc", "\"abc", "$$abc", "/* abc", "/* /* */", "$x$ $y$"])
    func whatNeverEndsIsAnError(_ text: String) {
        #expect(throws: SQLLexer.Unterminated.self) { try SQLLexer.tokens(of: Array(text.utf8)) }
    }
}

@Suite struct ScriptTextTests {
    static func parameters() throws -> ScriptParameters {
        ScriptParameters(
            runID: try RunID("20260401t031500123z_7f3a"), clientID: "o'hara", environment: "dev",
            businessDate: try BusinessDate("2026-03-31"), cutoff: "2026-04-01T03:00:00.000Z", partitionCount: 16,
            startedAt: "2026-04-01T03:15:00.123Z")
    }

    private func expand(_ text: String, partition: Int? = nil) throws -> [String] {
        var parameters = try Self.parameters()
        parameters.partition = partition
        return try ScriptText(checked: text, file: "x.sql").statements(with: parameters)
    }

    @Test func parametersBecomeQuotedText() throws {
        #expect(
            try expand("SELECT :'client_id', ':x' FROM :\"work\".t WHERE p = :'partition'::int; -- end\n", partition: 3)
                == ["SELECT 'o''hara', ':x' FROM \"bda_run_20260401t031500123z_7f3a\".t WHERE p = '3'::int"])
    }

    @Test func statementsAreSplitAtSemicolonsOutsideOfStrings() throws {
        #expect(try expand("INSERT INTO a VALUES (';');\n\nINSERT INTO b VALUES ($$;$$) ;;").count == 2)
    }

    @Test func aParameterWithoutValueIsAnErrorWithItsLine() {
        let error = #expect(throws: ScriptProblem.self) { try expand("SELECT\n\n:'partition'") }
        #expect(error?.line == 3)
    }

    @Test(arguments: [
        ("SELECT :partition", "bare"), ("SELECT :'unknown'", "unknown"), ("SELECT :\"other\".t", "work"),
        ("\\copy x", "backslash"), ("SELECT 1 \0; DROP TABLE t", "zero byte"),
    ])
    func whatIsNotSQLOfOursIsRefused(_ pair: (String, String)) {
        let error = #expect(throws: ScriptProblem.self) { try expand(pair.0) }
        #expect(error?.message.contains(pair.1) == true)
    }
}

@Suite struct ScriptSetTests {
    /// Writes files below a folder of their own and reads them as a set.
    private func read(_ files: [String: String]) throws -> Result<ScriptSet, ScriptSet.Problems> {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files {
            let file = folder.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        do { return .success(try ScriptSet(folders: [folder.path])) } catch { return .failure(error) }
    }

    private let table = "-- @table t\nCREATE TABLE :\"work\".t (a int)"
    private let archive =
        "-- Rows.\n-- @segment a.rows\n-- @reads run\n-- @key a\n-- @totals x, y by currency\nSELECT a FROM :\"work\".t WHERE p = :'partition'"

    private func problems(_ files: [String: String]) throws -> [String] {
        guard case .failure(let problems) = try read(files) else { return [] }
        return problems.sentences
    }

    @Test func aGoodSetIsRead() throws {
        let set = try read([
            "tables/t.sql": table, "archive/rows.sql": archive,
            "init/t.sql":
                "-- @segment a.t\n-- @reads run\n-- @writes t\n-- @split none\nINSERT INTO :\"work\".t SELECT 1;",
        ]).get()
        #expect(set.segments.map(\.segment.name.description) == ["a.rows", "a.t"])
        #expect(set.segments[0].segment.totals == ["x", "y"])
        #expect(set.segments[0].segment.totalsBy == "currency")
        #expect(set.segments[0].summary == "Rows.")
        #expect(set.segments[1].segment.split == .none)
        #expect(set.systems == ["a"])
    }

    @Test(arguments: [
        ("SELECT 'yesterday'::date, :'partition'", "'yesterday'"),
        ("SELECT TIMESTAMP ' Today 12:00', :'partition'", "Today 12:00"),
        ("COMMIT", "begins with 'COMMIT'"), ("SELECT :'partition'; SELECT 2", "exactly one SELECT"),
        ("DELETE FROM t WHERE p = :'partition'", "begins with 'DELETE'"), ("SELECT 1", "must use :'partition'"),
        ("SELECT :'partition', :'page_from'", "unknown parameter"), ("SELECT 'abc", "does not end"),
        ("", "exactly one SELECT"),
    ])
    func wrongStatementsAreRefused(_ pair: (String, String)) throws {
        let found = try problems(["archive/x.sql": "-- @segment a.x\n-- @reads run\n-- @key a\n\(pair.0)"])
        #expect(found.contains { $0.contains(pair.1) }, "\(found)")
        #expect(found.allSatisfy { $0.hasPrefix("archive/x.sql") })
    }

    @Test(arguments: [
        ("-- @segment a.x\n-- @reads run", "'@key' is missing"),
        ("-- @segment x\n-- @reads run\n-- @key a", "invalid segment name"),
        ("-- @segment a.x\n-- @reads both\n-- @key a", "neither vault nor run"),
        ("-- @segmnt a.x", "unknown tag '@segmnt'"),
        ("-- @segment a.x\n-- @segment a.y\n-- @reads run\n-- @key a", "already given in line 1"),
        ("-- @segment a.x\n-- @reads run\n-- @key", "has no value"),
        ("-- @segment a.x\n-- @reads run\n-- @key a\n-- @split pages", "neither bucket nor none"),
        ("-- @segment a.x\n-- @reads run\n-- @key a\n-- @severity warn", "unknown tag '@severity'"),
    ])
    func wrongHeadersAreRefused(_ pair: (String, String)) throws {
        let found = try problems(["archive/x.sql": "\(pair.0)\nSELECT :'partition'"])
        #expect(found.contains { $0.contains(pair.1) }, "\(found)")
    }

    @Test func allProblemsOfAllFilesAreToldAtOnce() throws {
        let found = try problems([
            "archive/a.sql": "-- @segment a.a\n-- @reads run\n-- @key a\n-- @needs a.gone\nSELECT :'partition'",
            "archive/b.sql": "-- @segment a.b\n-- @reads run\n-- @key a\nSELECT DATE 'today', :'partition'",
            "init/c.sql": "-- @segment a.c\n-- @reads run\n-- @writes nowhere\nINSERT INTO t SELECT :'partition'",
            "tables/t.sql": "-- @table T\nDROP TABLE t",
        ])
        #expect(found.contains { $0.contains("a.gone") })
        #expect(found.contains { $0.contains("archive/b.sql:4") && $0.contains("'today'") })
        #expect(found.contains { $0.contains("'@writes nowhere'") })
        #expect(found.contains { $0.contains("begins with 'DROP'") })
    }

    @Test func aFolderThatIsNotThereIsNamed() {
        let error = #expect(throws: ScriptSet.Problems.self) { try ScriptSet(folders: ["/nowhere/scripts"]) }
        #expect(error?.sentences.first?.contains("/nowhere/scripts") == true)
        #expect(error?.sentences.first?.contains("BDA_SCRIPTS_DIR") == true)
    }
}

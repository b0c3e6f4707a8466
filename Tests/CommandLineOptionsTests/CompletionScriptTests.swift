import Foundation
import Testing

@testable import CommandLineOptions

/// The scripts in real shells.
@Suite(.timeLimit(.minutes(1)))
struct CompletionScriptTests {
    private func script(_ shell: String) throws -> String {
        let exit = #expect(throws: CommandExit.self) {
            _ = try Tool.parseAsRoot(["--generate-completion-script", shell])
        }
        #expect(exit?.code == .completed)
        return try #require(exit).text
    }

    private func run(_ program: String, _ arguments: [String], input: String, in folder: URL? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let (stdin, stdout) = (Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stdout
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        let text = String(decoding: try stdout.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        return text
    }

    /// What bash offers when TAB is pressed behind the last of `words`.
    private func offered(_ words: [String], in folder: URL? = nil) throws -> Set<String> {
        let list = words.map { "'\($0)'" }.joined(separator: " ")
        let text = try run(
            "/bin/bash", ["--norc", "-s"],
            input: """
                \(try script("bash"))
                COMP_WORDS=(\(list)); COMP_CWORD=\(words.count - 1)
                _bda_tool
                printf '%s\\n' "${COMPREPLY[@]}"
                """, in: folder)
        return Set(text.split(separator: "\n").map(String.init))
    }

    @Test func bashOffersCommandsOptionsAndValues() throws {
        #expect(try offered(["bda-tool", ""]).isSuperset(of: ["run", "stop", "--help", "--version"]))
        #expect(try offered(["bda-tool", "r"]) == ["run"])
        #expect(try offered(["bda-tool", "run", "--part"]) == ["--part-count", "--partitions"])
        #expect(try offered(["bda-tool", "stop", "--"]) == ["--force", "--help", "--version"])
        #expect(try offered(["bda-tool", "--generate-completion-script", "=", "z"]) == ["zsh"])
        #expect(try offered(["bda-tool", "--generate-completion-script", "="]) == ["bash", "zsh"])
        #expect(try offered(["bda-tool", "run", "--date", ""]) == [])
        #expect(try offered(["bda-tool", "--generate-completion-script", ""]) == ["bash", "zsh"])
    }

    /// Bash completes file names where the script offers nothing: `-o default`.
    @Test func bashCompletesFileNamesAsValues() throws {
        #expect(try offered(["bda-tool", "run", "--output", "a"]) == [])
        #expect(try script("bash").contains("\ncomplete -o default -F _bda_tool bda-tool\n"))
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/bin/zsh")))
    func zshReadsItsScript() throws {
        let text = try run(
            "/bin/zsh", ["-f", "-s"],
            input: """
                autoload -Uz compinit && compinit -D -u
                \(try script("zsh"))
                print -r -- "${_comps[bda-tool]}" "${+functions[_bda_tool]}" "${+functions[_bda_tool_run]}"
                """)
        #expect(text == "_bda_tool 1 1\n")
    }

    @Test func zshScriptQuotesHelp() throws {
        let text = try script("zsh")
        #expect(text.hasPrefix("#compdef bda-tool\n"))
        #expect(text.contains(#"'--partitions=[customer buckets: '\''a'\'' \[b\] c]:partitions:_files'"#))
        #expect(text.contains("':file:_files'"))
    }
}

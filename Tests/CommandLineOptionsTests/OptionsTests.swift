import TestSupport
import Testing

@testable import CommandLineOptions

struct OptionsTests {
    private func exit(_ arguments: String...) -> CommandExit? {
        do throws(CommandExit) {
            _ = try Tool.parseAsRoot(arguments)
            return nil
        } catch { return error }
    }

    private func run(_ arguments: String...) throws -> Tool.Run {
        try #require(try Tool.parseAsRoot(arguments) as? Tool.Run)
    }

    @Test func valuesOfEveryKindArriveInBothSpellings() throws {
        let spaced = try run(
            "run", "--date", "2026-03-31", "--part-count", "4", "--dry-run", "file.sql", "second.sql", "--output", "-")
        let attached = try run(
            "run", "file.sql", "second.sql", "--date=2026-03-31", "--part-count=4", "--dry-run", "--output=-")
        for command in [spaced, attached] {
            #expect(command.date == "2026-03-31")
            #expect(command.partCount == 4)
            #expect(command.dryRun)
            #expect(command.file == "file.sql")
            #expect(command.second == "second.sql")
            #expect(command.output == "-")
        }
    }

    @Test func defaultsHoldWhereNothingIsGiven() throws {
        let command = try run("run", "f", "g", "--output", "o")
        #expect(command.date == nil)
        #expect(command.partCount == 16)
        #expect(!command.dryRun)
    }

    @Test func aValueMayBeEmptyOrHoldAnEqualsSignOrBeginWithADash() throws {
        #expect(try run("run", "f", "g", "--output=a=b").output == "a=b")
        #expect(try run("run", "f", "g", "--output=").output == "")
        #expect(try run("run", "f", "g", "--output", "o", "--part-count", "-3").partCount == -3)
        #expect(try run("run", "--output", "o", "--", "--file", "-x").file == "--file")
        #expect(try run("run", "--output", "o", "--", "--file", "-x").second == "-x")
    }

    @Test(arguments: [
        (["run", "f", "--partcount", "1"], "unknown option '--partcount'; did you mean '--part-count'?"),
        (["run", "f", "--partitons=1"], "unknown option '--partitons'; did you mean '--partitions'?"),
        (["run", "f", "--zzzzzz"], "unknown option '--zzzzzz'"),
        (["run", "f", "-d"], "unknown option '-d'"),
        (["run", "f", "--output"], "'--output <output>' needs a value"),
        (["run", "f", "--output", "--dry-run"], "'--output <output>' needs a value"),
        (["run", "f", "g"], "'--output <output>' is missing"),
        (["run", "--output", "o"], "'<file>' is missing"),
        (["run", "f", "--output", "o"], "'<second>' is missing"),
        (["run", "f", "g", "h", "--output", "o"], "unexpected argument 'h'"),
        (["run", "f", "--dry-run=yes"], "'--dry-run' takes no value"),
        (["run", "f", "--output", "a", "--output=b"], "'--output' is given twice"),
        (
            ["run", "f", "--part-count", "four"],
            "invalid value 'four' for '--part-count <part-count>'; allowed: a whole number"
        ),
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
        (["frobnicate"], "unknown command 'frobnicate'; there are run, stop"),
        (["--date", "x"], "unknown option '--date'"),
        ([], "a command is missing"),
        (["help", "frobnicate"], "unknown command 'frobnicate'"),
        (["--generate-completion-script", "fish"], "'--generate-completion-script <shell>' needs one of bash, zsh"),
    ])
    func wrongUsageIsExitCodeTwoAndSaysWhatIsMeant(_ arguments: [String], _ message: String) throws {
        let exit = #expect(throws: CommandExit.self) { _ = try Tool.parseAsRoot(arguments) }
        #expect(exit?.code == .usage)
        let lines = try #require(exit).text.split(separator: "\n")
        #expect(lines.first == "error: \(message)")
        #expect(lines.dropFirst().first?.hasPrefix("usage: bda-tool") == true)
        #expect(lines.last?.hasSuffix(" --help' for more.") == true)
    }

    @Test func helpOfTheProgramNamesCommandsAndOptions() throws {
        let help = try #require(exit("--help"))
        #expect(
            help.text == """
                Does things.

                usage: bda-tool <command>

                Commands:
                  run   Run a file.
                  stop  Stop everything.

                Options:
                  -h, --help                          show this help
                  --version                           show the version
                  --generate-completion-script <shell>
                                                      write a completion script for bash or zsh

                'bda-tool help <command>' shows the options of one command.

                """)
        #expect(help.code == .completed)
        #expect(exit("help") == help)
        #expect(exit("-h") == help)
    }

    @Test func helpOfACommandHasUsageOptionsDefaultsAndExamples() throws {
        let help = try #require(exit("run", "--help"))
        #expect(
            help.text == """
                Run a file.

                usage: bda-tool run <file> <second> [--date <date>] [--partitions <partitions>]
                                    [--part-count <part-count>] --output <output> [--dry-run]

                Arguments:
                  <file>    the file
                  <second>  another file

                Options:
                  --date <date>              the business date
                  --partitions <partitions>  customer buckets: 'a' [b] c
                  --part-count <part-count>  parts, of which there are many and whose number is worth some words
                                             (default: 16)
                  --output <output>          where to (required)
                  --dry-run                  change nothing
                  -h, --help                 show this help
                  --version                  show the version

                Examples:
                  bda-tool run charges.sql --output out

                """)
        #expect(help.code == .completed)
        #expect(exit("run", "-h") == help)
        #expect(exit("help", "run") == help)
        #expect(exit("run", "--wrong", "--help") == help)
        #expect(exit("run", "--output", "o", "--", "--help", "g") == nil)
    }

    @Test func versionIsTheProgramsAtEveryLevel() {
        #expect(exit("--version") == CommandExit(text: "bda-tool \(Version.current)\n", code: .completed))
        #expect(exit("run", "--version")?.text == "bda-tool 0.1.0\n")
    }

    @Test func aProgramWithoutCommandsParsesItsOwnOptions() throws {
        let command = try #require(try Tool.Stop.parseAsRoot(["--force"]) as? Tool.Stop)
        #expect(command.force)
        #expect(throws: CommandExit.self) { _ = try Tool.Stop.parseAsRoot(["--help"]) }
    }

    @Test func theExitCodeOfAnErrorIsItsOwnElseThatOfABug() {
        struct Unknown: Error {}
        #expect(ExitCode(of: ExitCode.dateHeld) == .dateHeld)
        #expect(ExitCode(of: Tool.StopError()) == .storeUnavailable)
        #expect(ExitCode(of: Unknown()) == .bug)
    }
}

/// `main()` in a process of its own.
struct CommandMainTests {
    @Test func helpGoesToStandardOutputAndEndsWithZero() async {
        let result = await #expect(
            processExitsWith: .exitCode(0), observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            await Tool.main(["--help"])
        }
        #expect(ChildOutput.standardOutput(result).contains("usage: bda-tool"))
        #expect(!ChildOutput.standardError(result).contains("usage:"))
    }

    @Test func wrongUsageGoesToStandardErrorAndEndsWithTwo() async {
        let result = await #expect(
            processExitsWith: .exitCode(2), observing: [\.standardOutputContent, \.standardErrorContent]
        ) {
            await Tool.main(["run", "--wrong"])
        }
        #expect(ChildOutput.standardError(result).contains("error: unknown option"))
        #expect(!ChildOutput.standardOutput(result).contains("error:"))
    }

    @Test func anErrorIsPrintedWithItsHintAndEndsWithItsCode() async {
        let result = await #expect(processExitsWith: .exitCode(22), observing: [\.standardErrorContent]) {
            await Tool.main(["stop"])
        }
        let text = ChildOutput.standardError(result)
        #expect(text.contains("error: unable to stop: it goes on\nhint: wait\n"))
    }

    @Test func aThrownExitCodeEndsWithoutAWord() async {
        let result = await #expect(processExitsWith: .exitCode(30), observing: [\.standardErrorContent]) {
            await Tool.main(["stop", "--force"])
        }
        #expect(!ChildOutput.standardError(result).contains("error:"))
    }
}

/// A program with every kind of option.
struct Tool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bda-tool", abstract: "Does things.", subcommands: [Run.self, Stop.self])

    struct StopError: ErrorWithExitCode {
        let exitCode = ExitCode.storeUnavailable
        var description: String { "unable to stop: it goes on" }
        var hint: String? { "wait" }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Run a file.",
            discussion: """
                Examples:
                  bda-tool run charges.sql --output out
                """)

        @Argument(help: "the file") var file: String
        @Argument(help: "another file") var second: String
        @Option(help: "the business date") var date: String?
        @Option(help: "customer buckets: 'a' [b] c") var partitions: Int?
        @Option(help: "parts, of which there are many and whose number is worth some words") var partCount = 16
        @Option(help: "where to") var output: String
        @Flag(help: "change nothing") var dryRun = false

        mutating func run() async throws {}
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "stop", abstract: "Stop everything.")
        @Flag(help: "at once") var force = false

        mutating func run() async throws {
            if force { throw ExitCode.dateHeld }
            throw StopError()
        }
    }
}

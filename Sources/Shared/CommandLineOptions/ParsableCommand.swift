import BlockingIO
import Glibc

/// Options and arguments that a type declares as its properties: a command, or an `OptionGroup` that several share.
package protocol ParsableArguments {
    /// All options at their defaults.
    init()
    /// Looks at all options together; throws a `ValidationError` when they do not go with each other.
    mutating func validate() throws
}

extension ParsableArguments {
    /// Any options go together.
    package mutating func validate() throws {}
}

/// A command of a program, in swift-argument-parser's call shape: its options are declared once, as properties, and
/// parsing, errors, `--help` and shell completion come from that.
///
///     struct Try: AsyncParsableCommand {
///         static let configuration = CommandConfiguration(commandName: "try", abstract: "Run one script and roll back.")
///
///         @Argument(help: "the script") var file: String
///         @Option(help: "the business date") var date: String
///         @Option(help: "most rows to show") var limit = 20
///         @Flag(help: "write JSON") var json = false
///
///         mutating func run() async throws { … }
///     }
///
/// A property `partCount` is the option `--part-count`. Values are `--name value` or `--name=value`. Every command has
/// `--help` and `--version`; the root has `--generate-completion-script`, too.
package protocol AsyncParsableCommand: ParsableArguments, SendableMetatype {
    /// Name, texts and sub-commands.
    static var configuration: CommandConfiguration { get }
    /// Does the work. What it throws is printed and ends the program with `exitCode(for:)` of the root.
    mutating func run() async throws
    /// The exit code of an error that a command threw.
    static func exitCode(for error: any Error) -> ExitCode
}

extension AsyncParsableCommand {
    /// A command with sub-commands is never run itself.
    package mutating func run() async throws { throw ValidationError("this command does nothing by itself") }

    /// What is known of an error here: an `ExitCode` that was thrown, wrong settings, or a bug.
    package static func exitCode(for error: any Error) -> ExitCode {
        switch error {
        case let code as ExitCode: code
        case is ValidationError: .usage
        default: (error as? any ErrorWithExitCode)?.exitCode ?? .bug
        }
    }

    /// Parses `arguments`, without the program's name, with this command as the program.
    ///
    /// Throws a `CommandExit` when there is nothing to run: help was asked for, or the arguments are wrong.
    package static func parseAsRoot(_ arguments: [String]) throws(CommandExit) -> any AsyncParsableCommand {
        try CommandParser(root: self).parse(arguments)
    }

    /// Parses the process's arguments, runs the command and ends the process when that failed. For `@main`.
    ///
    /// An error is written to standard error as `error: …`, with its hint on a line of its own; a thrown `ExitCode` ends
    /// the process without a word.
    package static func main() async { await main(Array(CommandLine.arguments.dropFirst())) }

    /// As `main()`, with other arguments than the process's.
    package static func main(_ arguments: [String]) async {
        do {
            var command = try parseAsRoot(arguments)
            try await command.run()
            endProcess(.completed)
        } catch let end as CommandExit {
            (end.code == .completed ? Descriptor.standardOutput : .standardError).write(end.text)
            endProcess(end.code)
        } catch {
            if !(error is ExitCode) {
                let hint = (error as? any ErrorWithExitCode)?.hint.map { "hint: \($0)\n" } ?? ""
                Descriptor.standardError.write("error: \(error)\n\(hint)")
            }
            endProcess(exitCode(for: error))
        }
    }

    /// Ends the process at once. `exit` would first clean up in C libraries, OpenSSL among them, whose threads may still be at
    /// work when an error ends a program: a Kafka client in the middle of a TLS handshake then ends it by a signal.
    private static func endProcess(_ code: ExitCode) -> Never {
        fflush(nil)
        _exit(code.rawValue)
    }
}

/// An error that ends a program: the one way from errors of all modules to exit codes and hints.
package protocol ErrorWithExitCode: Error, CustomStringConvertible {
    /// How the program ends.
    var exitCode: ExitCode { get }
    /// What to do about it: one sentence, safe to log.
    var hint: String? { get }
}

/// Options that do not go with each other. Thrown by `validate`, it is shown with the command's usage.
package struct ValidationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    package let description: String
    /// What is wrong: lower case, without a full stop.
    package init(_ description: String) { self.description = description }
}

/// The end of a program that has nothing to run: help or a version was asked for, or the arguments are wrong.
package struct CommandExit: Error, Sendable, Hashable, CustomStringConvertible {
    /// The text, with its line ends: for standard output with `.completed`, else for standard error.
    package let text: String
    /// `.completed` or `.usage`.
    package let code: ExitCode

    /// The text.
    package var description: String { text }
}

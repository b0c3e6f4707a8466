import BlockingIO
import Glibc

/// A command of a program, in swift-argument-parser's call shape: its options are declared once, as properties, and
/// parsing, errors, `--help` and shell completion come from that.
///
///     struct Try: AsyncParsableCommand {
///         static let configuration = CommandConfiguration(commandName: "try", abstract: "Run one script and roll back.")
///
///         @Argument(help: "the script") var file: String
///         @Option(help: "the business date") var date: String
///         @Option(help: "maximum number of rows to show") var limit = 20
///         @Flag(help: "write JSON") var json = false
///
///         mutating func run() async throws { … }
///     }
///
/// A property `partCount` is the option `--part-count`. Values are `--name value` or `--name=value`. Every command has
/// `--help` and `--version`; the root also has `--generate-completion-script`.
package protocol AsyncParsableCommand: SendableMetatype {
    /// All options have their defaults.
    init()
    static var configuration: CommandConfiguration { get }
    /// Does the work. An error that it throws is printed and ends the program with `ExitCode(of:)`.
    mutating func run() async throws
}

extension AsyncParsableCommand {
    /// A command with sub-commands is never run itself.
    package mutating func run() async throws { preconditionFailure("a command with sub-commands does not run") }

    /// Parses `arguments`, without the program's name, with this command as the program.
    ///
    /// Throws a `CommandExit` if no command is to be run: help was requested, or the arguments are wrong.
    package static func parseAsRoot(_ arguments: [String]) throws(CommandExit) -> any AsyncParsableCommand {
        try CommandParser(root: self).parse(arguments)
    }

    /// Parses the process's arguments, runs the command and ends the process. For `@main`.
    ///
    /// An error is written to standard error as `error: …`, with its hint on a line of its own; a thrown `ExitCode`
    /// ends the process without output.
    package static func main() async { await main(Array(CommandLine.arguments.dropFirst())) }

    /// As `main()`, with the given arguments.
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
            endProcess(ExitCode(of: error))
        }
    }

    /// Ends the process immediately. `exit` would first clean up in C libraries, such as OpenSSL, whose threads may
    /// still be running when an error ends a program: a Kafka client in the middle of a TLS handshake would then end it
    /// by a signal.
    private static func endProcess(_ code: ExitCode) -> Never {
        fflush(nil)
        _exit(code.rawValue)
    }
}

/// An error that ends a program: exit codes and hints of all modules are based on it.
package protocol ErrorWithExitCode: Error, CustomStringConvertible {
    var exitCode: ExitCode { get }
    /// What the operator can do: one sentence, safe to log.
    var hint: String? { get }
}

/// A problem of a value, in lower case and without a full stop.
struct ValidationError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The end of a program that runs no command: help or a version was requested, or the arguments are wrong.
package struct CommandExit: Error, Sendable, Hashable, CustomStringConvertible {
    /// The text, with its line ends: for standard output with `.completed`, else for standard error.
    package let text: String
    /// `.completed` or `.usage`.
    package let code: ExitCode

    package var description: String { text }
}

/// A command in the tree of a program's commands.
struct CommandNode {
    let type: any AsyncParsableCommand.Type
    /// The words up to this command, such as `bda-coordinator run`.
    let path: String
    let isRoot: Bool

    /// The program itself.
    init(_ root: any AsyncParsableCommand.Type) {
        type = root
        path = root.configuration.commandName
        isRoot = true
    }

    private init(_ type: any AsyncParsableCommand.Type, below parent: CommandNode) {
        self.type = type
        path = parent.path + " " + type.configuration.commandName
        isRoot = false
    }

    var name: String { type.configuration.commandName }

    var subcommands: [CommandNode] { type.configuration.subcommands.map { CommandNode($0, below: self) } }

    var parameters: [NamedParameter] { NamedParameter.all(of: type.init()) }

    /// The options that every command has, with their help.
    var builtIns: [(usage: String, help: String)] {
        var all = [("-h, --help", "show this help"), ("--version", "show the version")]
        if isRoot {
            all.append(("--generate-completion-script <shell>", "write a completion script for bash or zsh"))
        }
        return all
    }
}

extension CommandNode {
    private static let width = 100

    /// The usage, wrapped to the width of the help.
    var usageText: String {
        var words: [String] = []
        if subcommands.isEmpty {
            let (options, arguments) = (
                parameters.filter { $0.parameter.role != .argument },
                parameters.filter { $0.parameter.role == .argument }
            )
            words = (arguments + options).map { $0.parameter.isRequired ? $0.usage : "[\($0.usage)]" }
        } else {
            words = ["<command>"]
        }
        let start = "usage: \(path)"
        return Self.wrapped(words, first: start, indent: min(start.count + 1, 24))
    }

    var helpText: String {
        let configuration = type.configuration
        var text = configuration.abstract + "\n\n" + usageText
        func section(_ title: String, _ rows: [(String, String)]) {
            guard !rows.isEmpty else { return }
            let column = min(rows.map(\.0.count).max() ?? 0, 34) + 4
            text += "\n\(title):\n"
            for (left, right) in rows {
                var first = "  " + left
                if first.count + 2 > column {
                    text += first + "\n"
                    first = ""
                }
                first += String(repeating: " ", count: column - first.count - 1)
                text += Self.wrapped(right.split(separator: " ").map(String.init), first: first, indent: column)
            }
        }
        let rows = parameters.map { named in (named.parameter.role, named.usage, Self.helpText(of: named.parameter)) }
        section("Arguments", rows.filter { $0.0 == .argument }.map { ($0.1, $0.2) })
        section("Commands", subcommands.map { ($0.name, $0.type.configuration.abstract) })
        section(
            "Options", rows.filter { $0.0 != .argument }.map { ($0.1, $0.2) } + builtIns.map { ($0.usage, $0.help) })
        if !subcommands.isEmpty { text += "\n'\(path) help <command>' shows the options of one command.\n" }
        if !configuration.discussion.isEmpty { text += "\n" + configuration.discussion + "\n" }
        return text
    }

    private static func helpText(of parameter: Parameter) -> String {
        var notes: [String] = []
        if let text = parameter.defaultText { notes.append("default: \(text)") }
        if parameter.isRequired && parameter.role == .option { notes.append("required") }
        return parameter.help + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))")
    }

    private static func wrapped(_ words: [String], first: String, indent: Int) -> String {
        var text = ""
        var line = first
        for word in words {
            if line.count + 1 + word.count > width, line.contains(where: { $0 != " " }) {
                text += line + "\n"
                line = String(repeating: " ", count: indent - 1)
            }
            line += " " + word
        }
        return text + line + "\n"
    }
}

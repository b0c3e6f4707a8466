/// Finds the command that the arguments name, and sets its options.
struct CommandParser {
    let root: any AsyncParsableCommand.Type

    static let shells = ["bash", "zsh"]

    func parse(_ arguments: [String]) throws(CommandExit) -> any AsyncParsableCommand {
        try parse(arguments[...], of: CommandNode(root))
    }

    private func parse(
        _ arguments: ArraySlice<String>, of node: CommandNode
    ) throws(CommandExit) -> any AsyncParsableCommand {
        let words = arguments.prefix { $0 != "--" }
        let subcommands = node.subcommands
        // With subcommands, --help behind one of them belongs to that one.
        let own = subcommands.isEmpty ? words : words.prefix { $0.hasPrefix("-") }
        if own.contains("--help") || own.contains("-h") { throw CommandExit(text: node.helpText, code: .completed) }
        if own.contains("--version") {
            throw CommandExit(text: "\(root.configuration.commandName) \(Version.current)\n", code: .completed)
        }
        if node.isRoot, let index = own.firstIndex(where: { $0.hasPrefix("--generate-completion-script") }) {
            throw try completionScript(arguments[index...], node)
        }
        guard !subcommands.isEmpty else { return try parseOptions(arguments, of: node) }

        guard let first = arguments.first else { throw usage("a command is missing", node) }
        if first == "help" { throw try help(arguments.dropFirst(), node) }
        guard let next = subcommands.first(where: { $0.name == first }) else {
            if first.hasPrefix("-") { throw unknownOption(first, [], node) }
            let nearest = NearestName.find(first, among: subcommands.map(\.name))
            throw usage(
                "unknown command '\(first)'; "
                    + (nearest.map { "did you mean '\($0)'?" }
                        ?? "there are \(subcommands.map(\.name).joined(separator: ", "))"),
                node)
        }
        return try parse(arguments.dropFirst(), of: next)
    }

    private func parseOptions(
        _ arguments: ArraySlice<String>, of node: CommandNode
    ) throws(CommandExit) -> any AsyncParsableCommand {
        let command = node.type.init()
        let parameters = NamedParameter.all(of: command)
        var positions = parameters.filter { $0.parameter.role == .argument }[...]
        var given: Set<String> = []
        var rest = arguments
        var isAfterTerminator = false
        while let word = rest.popFirst() {
            if isAfterTerminator || word == "-" || !word.hasPrefix("-") {
                guard let next = positions.popFirst() else { throw usage("unexpected argument '\(word)'", node) }
                given.insert(next.usage)
                try set(next, word, node)
                continue
            }
            if word == "--" {
                isAfterTerminator = true
                continue
            }
            let halves = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let attached = halves.count == 2 ? halves[1] : nil
            let found = parameters.first { $0.parameter.role != .argument && "--\($0.name)" == halves[0] }
            guard let found else { throw unknownOption(halves[0], parameters, node) }
            guard given.insert(found.usage).inserted else { throw usage("'--\(found.name)' is given twice", node) }
            if found.parameter.role == .flag {
                guard attached == nil else { throw usage("'--\(found.name)' takes no value", node) }
                try set(found, "", node)
            } else if let attached {
                try set(found, attached, node)
            } else {
                guard let value = rest.first, !value.hasPrefix("--") else {
                    throw usage("'\(found.usage)' needs a value", node)
                }
                rest.removeFirst()
                try set(found, value, node)
            }
        }
        if let missing = parameters.first(where: { $0.parameter.isRequired && !given.contains($0.usage) }) {
            throw usage("'\(missing.usage)' is missing", node)
        }
        return command
    }

    private func set(_ named: NamedParameter, _ text: String, _ node: CommandNode) throws(CommandExit) {
        do { try named.parameter.set(text) } catch {
            throw usage("invalid value '\(text)' for '\(named.usage)'; \(error)", node)
        }
    }

    private func unknownOption(_ name: String, _ parameters: [NamedParameter], _ node: CommandNode) -> CommandExit {
        let options = parameters.filter { $0.parameter.role != .argument }.map { "--\($0.name)" }
        let nearest = NearestName.find(name, among: options + ["--help", "--version"])
        return usage("unknown option '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""), node)
    }

    private func usage(_ problem: String, _ node: CommandNode) -> CommandExit {
        CommandExit(
            text: "error: \(problem)\n\(node.usageText)See '\(node.path) --help' for more.\n", code: .usage)
    }

    private func help(_ names: ArraySlice<String>, _ node: CommandNode) throws(CommandExit) -> CommandExit {
        var node = node
        for name in names {
            guard let next = node.subcommands.first(where: { $0.name == name }) else {
                throw usage("unknown command '\(name)'", node)
            }
            node = next
        }
        return CommandExit(text: node.helpText, code: .completed)
    }

    private func completionScript(
        _ words: ArraySlice<String>, _ node: CommandNode
    ) throws(CommandExit) -> CommandExit {
        let option = "--generate-completion-script"
        let shell: String?
        if let first = words.first, first.hasPrefix(option + "=") {
            shell = String(first.dropFirst(option.count + 1))
        } else if words.first == option {
            shell = words.dropFirst().first
        } else {
            throw unknownOption(words.first ?? "", [], node)
        }
        switch shell {
        case "bash": return CommandExit(text: CompletionScript.bash(node), code: .completed)
        case "zsh": return CommandExit(text: CompletionScript.zsh(node), code: .completed)
        default:
            throw usage("'\(option) <shell>' needs one of \(Self.shells.joined(separator: ", "))", node)
        }
    }
}

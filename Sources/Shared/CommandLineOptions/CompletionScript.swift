/// Shell scripts that complete a program's commands and options, and file names as values.
enum CompletionScript {
    /// For bash 3.2 and later, with or without the bash-completion package. If the script has no candidates, as for the
    /// value of an option, bash completes file names.
    static func bash(_ root: CommandNode) -> String {
        let function = functionName(root)
        var steps = ""
        var values = ""
        var words = ""
        visit(root) { node in
            let path = node.path.dropFirst(root.path.count).replacing(" ", with: "/")
            for next in node.subcommands {
                steps += "            '\(path)/\(next.name)') command='\(path)/\(next.name)' ;;\n"
            }
            var offered = node.subcommands.map(\.name)
            for named in node.parameters where named.parameter.role != .argument {
                offered.append("--\(named.name)")
                if named.parameter.role == .option { values += "        '\(path) --\(named.name)') return ;;\n" }
            }
            if node.isRoot {
                offered.append("--generate-completion-script")
                values += "        ' --generate-completion-script') \(bashWords(CommandParser.shells)); return ;;\n"
            }
            offered += ["--help", "--version"]
            words += "        '\(path)') \(bashWords(offered)) ;;\n"
        }
        return """
            # bash completion of \(root.name), made by: \(root.name) --generate-completion-script bash
            \(function)() {
                local IFS=$'\\n' command='' i
                local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
                # bash splits '--name=value' at the '='.
                if [[ $word == '=' ]]; then
                    word=''
                elif [[ $previous == '=' ]]; then
                    previous=${COMP_WORDS[COMP_CWORD - 2]}
                fi
                COMPREPLY=()
                for ((i = 1; i < COMP_CWORD; i++)); do
                    case "$command/${COMP_WORDS[i]}" in
            \(steps)        esac
                done
                case "$command $previous" in
            \(values)    esac
                case "$command" in
            \(words)    esac
            }
            complete -o default -F \(function) \(root.name)

            """
    }

    private static func bashWords(_ words: [String]) -> String {
        let list = words.map { $0.replacing("\\", with: "\\\\").replacing("'", with: "\\'") }.joined(separator: "\\n")
        return "COMPREPLY=($(compgen -W $'\(list)' -- \"$word\"))"
    }

    /// For zsh: as a file `_<program>` in `$fpath`, or sourced after `compinit`.
    static func zsh(_ root: CommandNode) -> String {
        var functions = ""
        visit(root) { node in
            functions += "\n\(functionName(node))() {\n"
            if !node.subcommands.isEmpty {
                functions += "    local curcontext=\"$curcontext\" context state state_descr line\n"
                functions += "    typeset -A opt_args\n"
            }
            var specs = node.parameters.map(zshSpec)
            if node.isRoot {
                let shells = CommandParser.shells.joined(separator: " ")
                specs.append("--generate-completion-script=[write a completion script]:shell:(\(shells))")
            }
            specs += ["(- *)-h[show this help]", "(- *)--help[show this help]", "(- *)--version[show the version]"]
            if !node.subcommands.isEmpty { specs += ["1:command:->command", "*::argument:->argument"] }
            functions += "    _arguments " + (node.subcommands.isEmpty ? "" : "-C ")
            functions += specs.map { "\\\n        \(zshQuoted($0))" }.joined(separator: " ")
            functions += node.subcommands.isEmpty ? "\n}\n" : " && return\n" + zshStates(node) + "}\n"
        }
        let function = functionName(root)
        return """
            #compdef \(root.name)
            # zsh completion of \(root.name), made by: \(root.name) --generate-completion-script zsh
            \(functions)
            if [[ $funcstack[1] == \(function) ]]; then
                \(function) "$@"
            else
                compdef \(function) \(root.name)
            fi

            """
    }

    private static func zshStates(_ node: CommandNode) -> String {
        let names = node.subcommands.map { next in
            "                \(zshQuoted("\(next.name):\(next.type.configuration.abstract)"))\n"
        }
        let calls = node.subcommands.map { "                \($0.name)) \(functionName($0)) ;;\n" }
        return """
                case $state in
                    command)
                        local -a commands
                        commands=(
            \(names.joined())            )
                        _describe -t commands command commands ;;
                    argument)
                        case $words[1] in
            \(calls.joined())            esac ;;
                esac

            """
    }

    /// A spec of `_arguments`, zshcompsys(1).
    private static func zshSpec(_ named: NamedParameter) -> String {
        let parameter = named.parameter
        let help = parameter.help.replacing("\\", with: "\\\\").replacing("[", with: "\\[")
            .replacing("]", with: "\\]")
        switch parameter.role {
        case .option: return "--\(named.name)=[\(help)]:\(named.name):_files"
        case .flag: return "--\(named.name)[\(help)]"
        case .argument: return ":\(named.name):_files"
        }
    }

    private static func zshQuoted(_ text: String) -> String { "'" + text.replacing("'", with: "'\\''") + "'" }

    private static func functionName(_ node: CommandNode) -> String {
        "_" + String(node.path.map { $0 == " " || $0 == "-" ? "_" : $0 })
    }

    private static func visit(_ node: CommandNode, _ body: (CommandNode) -> Void) {
        body(node)
        for next in node.subcommands { visit(next, body) }
    }
}

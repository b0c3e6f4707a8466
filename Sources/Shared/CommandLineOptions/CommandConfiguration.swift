/// The name and the help texts of a command.
package struct CommandConfiguration: Sendable {
    /// The word on the command line.
    package var commandName: String
    /// One line about the command.
    package var abstract: String
    /// Text below the options, unchanged: examples, exit codes.
    package var discussion: String
    /// The commands that can follow; a command with subcommands does nothing itself.
    package var subcommands: [any AsyncParsableCommand.Type]

    package init(
        commandName: String, abstract: String, discussion: String = "",
        subcommands: [any AsyncParsableCommand.Type] = []
    ) {
        self.commandName = commandName
        self.abstract = abstract
        self.discussion = discussion
        self.subcommands = subcommands
    }
}

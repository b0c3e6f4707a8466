/// What a command is called and what people read about it.
package struct CommandConfiguration: Sendable {
    /// What is typed.
    package var commandName: String
    /// One line on what it does.
    package var abstract: String
    /// Shown below the options as it is: examples, exit codes.
    package var discussion: String
    /// The commands that can follow; a command that has some does nothing itself.
    package var subcommands: [any AsyncParsableCommand.Type]

    /// A command's configuration.
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

/// What a command is called and what people read about it.
public struct CommandConfiguration: Sendable {
    /// What is typed.
    public var commandName: String
    /// One line on what it does.
    public var abstract: String
    /// Shown below the options as it is: examples, exit codes.
    public var discussion: String
    /// The commands that can follow; a command that has some does nothing itself.
    public var subcommands: [any AsyncParsableCommand.Type]

    /// A command's configuration.
    public init(
        commandName: String, abstract: String, discussion: String = "",
        subcommands: [any AsyncParsableCommand.Type] = []
    ) {
        self.commandName = commandName
        self.abstract = abstract
        self.discussion = discussion
        self.subcommands = subcommands
    }
}

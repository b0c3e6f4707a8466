/// A value that can be written on a command line.
package protocol ExpressibleByArgument {
    /// Returns nil if the text is not a value.
    init?(argument: String)
    /// What a text must be, for the error.
    static var allowedDescription: String { get }
}

extension String: ExpressibleByArgument {
    package init?(argument: String) { self = argument }
    package static var allowedDescription: String { "any text" }
}

extension Int: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
    package static var allowedDescription: String { "a whole number" }
}

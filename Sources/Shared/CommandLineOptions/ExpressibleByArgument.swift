/// A value with a form on the command line.
package protocol ExpressibleByArgument {
    /// Returns nil if the text has no value.
    init?(argument: String)
    /// The allowed texts, for errors.
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

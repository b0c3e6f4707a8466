/// A value that can be written on a command line.
package protocol ExpressibleByArgument {
    /// The value of a text, or nil if it is none.
    init?(argument: String)
    /// Every text that is allowed; empty when they cannot be listed.
    static var allValueStrings: [String] { get }
    /// What a text must be, for the error.
    static var allowedDescription: String { get }
    /// The text of this value, for `--help`.
    var argumentText: String { get }
}

extension ExpressibleByArgument {
    /// The values cannot be listed.
    package static var allValueStrings: [String] { [] }
    /// The list of values.
    package static var allowedDescription: String { "allowed: " + allValueStrings.joined(separator: ", ") }
    /// The usual text.
    package var argumentText: String { "\(self)" }
}

extension ExpressibleByArgument where Self: CaseIterable & RawRepresentable, RawValue == String {
    /// The case of a raw value.
    package init?(argument: String) { self.init(rawValue: argument) }
    /// All raw values.
    package static var allValueStrings: [String] { allCases.map(\.rawValue) }
    /// The raw value.
    package var argumentText: String { rawValue }
}

extension String: ExpressibleByArgument {
    /// The text itself.
    package init?(argument: String) { self = argument }
    /// Any text.
    package static var allowedDescription: String { "allowed: any text" }
}

extension Int: ExpressibleByArgument {
    /// A whole number.
    package init?(argument: String) { self.init(argument) }
    /// A whole number.
    package static var allowedDescription: String { "allowed: a whole number" }
}

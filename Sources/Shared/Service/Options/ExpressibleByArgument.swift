/// A value that can be written on a command line.
public protocol ExpressibleByArgument {
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
    public static var allValueStrings: [String] { [] }
    /// The list of values.
    public static var allowedDescription: String { "allowed: " + allValueStrings.joined(separator: ", ") }
    /// The usual text.
    public var argumentText: String { "\(self)" }
}

extension ExpressibleByArgument where Self: CaseIterable & RawRepresentable, RawValue == String {
    /// The case of a raw value.
    public init?(argument: String) { self.init(rawValue: argument) }
    /// All raw values.
    public static var allValueStrings: [String] { allCases.map(\.rawValue) }
    /// The raw value.
    public var argumentText: String { rawValue }
}

extension String: ExpressibleByArgument {
    /// The text itself.
    public init?(argument: String) { self = argument }
    /// Any text.
    public static var allowedDescription: String { "allowed: any text" }
}

extension Int: ExpressibleByArgument {
    /// A whole number.
    public init?(argument: String) { self.init(argument) }
    /// A whole number.
    public static var allowedDescription: String { "allowed: a whole number" }
}

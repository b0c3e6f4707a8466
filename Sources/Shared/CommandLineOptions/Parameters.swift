/// An option with a value: `--name value` or `--name=value`.
///
/// With an initial value or of an optional type it may be left out, else it must be given.
@propertyWrapper
package struct Option<Value>: ParameterProperty {
    let parameter: Parameter
    private let box: ValueBox<Value>

    /// The value given, else the default.
    package var wrappedValue: Value {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    /// An option with a default.
    package init(wrappedValue: Value, help: ArgumentHelp, completion: CompletionKind = .none)
    where Value: ExpressibleByArgument {
        box = ValueBox(wrappedValue)
        parameter = Parameter(
            .option, help, of: Value.self, completion, default: wrappedValue.argumentText, isRequired: false,
            set: { [box] in box.value = $0 })
    }

    /// An option that must be given.
    package init(help: ArgumentHelp, completion: CompletionKind = .none) where Value: ExpressibleByArgument {
        box = ValueBox(nil)
        parameter = Parameter(
            .option, help, of: Value.self, completion, isRequired: true, set: { [box] in box.value = $0 })
    }

    /// An option that may be left out.
    package init<Wrapped: ExpressibleByArgument>(help: ArgumentHelp, completion: CompletionKind = .none)
    where Value == Wrapped? {
        box = ValueBox(.some(nil))
        parameter = Parameter(
            .option, help, of: Wrapped.self, completion, isRequired: false, set: { [box] in box.value = $0 })
    }

    /// An option that must be given, whose text `transform` turns into the value; what it throws is shown.
    package init(
        help: ArgumentHelp, completion: CompletionKind = .none, transform: @escaping (String) throws -> Value
    ) {
        box = ValueBox(nil)
        parameter = Parameter(
            .option, help, completion, isRequired: true, set: { [box] in box.value = try transform($0) })
    }

    /// An option that may be left out, whose text `transform` turns into the value; what it throws is shown.
    package init<Wrapped>(
        help: ArgumentHelp, completion: CompletionKind = .none, transform: @escaping (String) throws -> Wrapped
    ) where Value == Wrapped? {
        box = ValueBox(.some(nil))
        parameter = Parameter(
            .option, help, completion, isRequired: false, set: { [box] in box.value = try transform($0) })
    }
}

/// An option without a value: `--name`. False unless given.
@propertyWrapper
package struct Flag: ParameterProperty {
    let parameter: Parameter
    private let box: ValueBox<Bool>

    /// Whether it was given.
    package var wrappedValue: Bool {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    /// A flag; the initial value is `false`.
    package init(wrappedValue: Bool, help: ArgumentHelp) {
        precondition(!wrappedValue, "a flag is false until it is given")
        box = ValueBox(false)
        parameter = Parameter(.flag, help, .none, isRequired: false, set: { [box] _ in box.value = true })
    }
}

/// A value by its place: the first `@Argument` of a command is the first word that belongs to no option.
@propertyWrapper
package struct Argument<Value>: ParameterProperty {
    let parameter: Parameter
    private let box: ValueBox<Value>

    /// The value given.
    package var wrappedValue: Value {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    /// An argument that must be given.
    package init(help: ArgumentHelp, completion: CompletionKind = .none) where Value: ExpressibleByArgument {
        box = ValueBox(nil)
        parameter = Parameter(
            .argument, help, of: Value.self, completion, isRequired: true, set: { [box] in box.value = $0 })
    }

    /// An argument that may be left out.
    package init<Wrapped: ExpressibleByArgument>(help: ArgumentHelp, completion: CompletionKind = .none)
    where Value == Wrapped? {
        box = ValueBox(.some(nil))
        parameter = Parameter(
            .argument, help, of: Wrapped.self, completion, isRequired: false, set: { [box] in box.value = $0 })
    }
}

/// Options that several commands share.
@propertyWrapper
package struct OptionGroup<Value: ParsableArguments>: ParameterGroup {
    private let box = ValueBox(Value())

    /// The options with their values.
    package var wrappedValue: Value {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    /// The options at their defaults.
    package init() {}

    var members: any ParsableArguments { wrappedValue }

    func validateMembers() throws {
        var members = wrappedValue
        try members.validate()
        wrappedValue = members
    }
}

/// Where a property wrapper and the parser meet: wrappers are values, which the parser sees as copies by reflection.
final class ValueBox<Value> {
    var value: Value?

    init(_ value: Value?) { self.value = value }

    func get() -> Value {
        guard let value else { preconditionFailure("an option is read before the arguments are parsed") }
        return value
    }
}

protocol ParameterProperty {
    var parameter: Parameter { get }
}

protocol ParameterGroup {
    var members: any ParsableArguments { get }
    func validateMembers() throws
}

/// What is known of an option, flag or argument beside its name, which is the property's.
struct Parameter {
    enum Role { case option, flag, argument }

    let role: Role
    let help: ArgumentHelp
    let isRequired: Bool
    let defaultText: String?
    let values: [String]
    let completion: CompletionKind
    /// Sets the value from its text; throws what is wrong with it.
    let set: (String) throws -> Void

    init(
        _ role: Role, _ help: ArgumentHelp, _ completion: CompletionKind, isRequired: Bool,
        set: @escaping (String) throws -> Void
    ) {
        self.role = role
        self.help = help
        self.isRequired = isRequired
        self.completion = completion
        self.set = set
        defaultText = nil
        values = []
    }

    init<Value: ExpressibleByArgument>(
        _ role: Role, _ help: ArgumentHelp, of type: Value.Type, _ completion: CompletionKind,
        default defaultText: String? = nil, isRequired: Bool, set: @escaping (Value) -> Void
    ) {
        self.role = role
        self.help = help
        self.isRequired = isRequired
        self.completion = completion
        self.defaultText = defaultText
        values = Value.allValueStrings
        self.set = { text in
            guard let value = Value(argument: text) else { throw ValidationError(Value.allowedDescription) }
            set(value)
        }
    }
}

/// A parameter with its name, such as `part-count`.
struct NamedParameter {
    let name: String
    let parameter: Parameter

    /// `--part-count <n>`, `--json` or `<file>`.
    var usage: String {
        let value = "<\(parameter.help.valueName ?? name)>"
        switch parameter.role {
        case .option: return "--\(name) \(value)"
        case .flag: return "--\(name)"
        case .argument: return value
        }
    }

    /// The parameters of a command and its groups, in the order of declaration.
    static func all(of arguments: any ParsableArguments) -> [NamedParameter] {
        Mirror(reflecting: arguments).children.flatMap { child -> [NamedParameter] in
            if let group = child.value as? any ParameterGroup { return all(of: group.members) }
            guard let property = child.value as? any ParameterProperty, let label = child.label else { return [] }
            return [NamedParameter(name: kebabCase(label.drop { $0 == "_" }), parameter: property.parameter)]
        }
    }

    private static func kebabCase(_ name: Substring) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : "\($1)" }
    }
}

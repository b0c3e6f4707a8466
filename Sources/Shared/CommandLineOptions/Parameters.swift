/// An option with a value: `--name value` or `--name=value`.
///
/// It may be left out if it has an initial value or an optional type; otherwise it is required.
@propertyWrapper
package struct Option<Value>: ParameterProperty {
    let parameter: Parameter
    private let box: ValueBox<Value>

    package var wrappedValue: Value {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    /// An option with a default.
    package init(wrappedValue: Value, help: String) where Value: ExpressibleByArgument {
        box = ValueBox(wrappedValue)
        parameter = Parameter(
            .option, help, of: Value.self, default: "\(wrappedValue)", isRequired: false,
            set: { [box] in box.value = $0 })
    }

    /// A required option.
    package init(help: String) where Value: ExpressibleByArgument {
        box = ValueBox(nil)
        parameter = Parameter(.option, help, of: Value.self, isRequired: true, set: { [box] in box.value = $0 })
    }

    /// An option that may be left out.
    package init<Wrapped: ExpressibleByArgument>(help: String) where Value == Wrapped? {
        box = ValueBox(.some(nil))
        parameter = Parameter(.option, help, of: Wrapped.self, isRequired: false, set: { [box] in box.value = $0 })
    }
}

/// An option without a value: `--name`. False unless given.
@propertyWrapper
package struct Flag: ParameterProperty {
    let parameter: Parameter
    private let box: ValueBox<Bool>

    package var wrappedValue: Bool {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    package init(wrappedValue: Bool, help: String) {
        precondition(!wrappedValue, "a flag is false until it is given")
        box = ValueBox(false)
        parameter = Parameter(.flag, help, of: String.self, isRequired: false, set: { [box] _ in box.value = true })
    }
}

/// A required value by its position: the first `@Argument` of a command is the first word that belongs to no option.
@propertyWrapper
package struct Argument<Value>: ParameterProperty {
    let parameter: Parameter
    private let box: ValueBox<Value>

    package var wrappedValue: Value {
        get { box.get() }
        nonmutating set { box.value = newValue }
    }

    package init(help: String) where Value: ExpressibleByArgument {
        box = ValueBox(nil)
        parameter = Parameter(.argument, help, of: Value.self, isRequired: true, set: { [box] in box.value = $0 })
    }
}

/// The value that a property wrapper and the parser share: the parser sees wrappers as copies by reflection.
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

/// The properties of an option, flag or argument, except its name, which is the property's.
struct Parameter {
    enum Role { case option, flag, argument }

    let role: Role
    let help: String
    let isRequired: Bool
    let defaultText: String?
    /// Sets the value from its text; throws a `ValidationError`.
    let set: (String) throws -> Void

    init<Value: ExpressibleByArgument>(
        _ role: Role, _ help: String, of type: Value.Type, default defaultText: String? = nil, isRequired: Bool,
        set: @escaping (Value) -> Void
    ) {
        self.role = role
        self.help = help
        self.isRequired = isRequired
        self.defaultText = defaultText
        self.set = { text in
            guard let value = Value(argument: text) else {
                throw ValidationError("allowed: \(Value.allowedDescription)")
            }
            set(value)
        }
    }
}

/// A parameter with its name, such as `part-count`.
struct NamedParameter {
    let name: String
    let parameter: Parameter

    /// `--part-count <part-count>`, `--json` or `<file>`.
    var usage: String {
        switch parameter.role {
        case .option: "--\(name) <\(name)>"
        case .flag: "--\(name)"
        case .argument: "<\(name)>"
        }
    }

    /// The parameters of a command, in the order of declaration.
    static func all(of command: any AsyncParsableCommand) -> [NamedParameter] {
        Mirror(reflecting: command).children.compactMap { child -> NamedParameter? in
            guard let property = child.value as? any ParameterProperty, let label = child.label else { return nil }
            return NamedParameter(name: kebabCase(label.drop { $0 == "_" }), parameter: property.parameter)
        }
    }

    private static func kebabCase(_ name: Substring) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "-\($1.lowercased())" : "\($1)" }
    }
}

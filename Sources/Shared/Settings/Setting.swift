/// One setting of a program: an environment variable, the type of its value, its default and its meaning. A module
/// declares its settings as constants and reads them by a `SettingsReader`:
///
///     enum PostgresSetting {
///         static let port = Setting("BDA_DB_PORT", .integer(1...65_535), default: 5432, "TCP port of the server")
///         static let section = SettingSection("Database", [port])
///     }
///     let port = reader[PostgresSetting.port]
package struct Setting<Value: Sendable>: Sendable {
    package let definition: SettingDefinition
    let parse: @Sendable (String) -> Value?
    /// The value of a setting that is not set; nil for a required setting.
    let fallback: Value?
    /// Replaces a missing or wrong value until `finish` throws.
    let placeholder: Value

    package var name: String { definition.name }

    package init(_ name: String, _ format: SettingFormat<Value>, default value: Value, _ meaning: String) {
        self.init(
            name, format, defaultText: format.text(value), fallback: value, placeholder: value, meaning: meaning)
    }

    /// A setting that is required if the program reads it.
    package init(_ name: String, _ format: SettingFormat<Value>, _ meaning: String) {
        self.init(name, format, whenUnset: "required", placeholder: format.placeholder, meaning: meaning)
    }

    /// A setting that is nil if it is not set; `whenUnset` states the effect of that in a few words.
    package init<Wrapped>(_ name: String, _ format: SettingFormat<Wrapped>, whenUnset: String, _ meaning: String)
    where Value == Wrapped? {
        let optional = SettingFormat<Value>(
            allowed: format.allowed, placeholder: nil, parse: { format.parse($0).map { .some($0) } }, text: { _ in "" })
        self.init(name, optional, whenUnset: whenUnset, fallback: .some(nil), placeholder: nil, meaning: meaning)
    }

    private init(
        _ name: String, _ format: SettingFormat<Value>, defaultText: String? = nil, whenUnset: String? = nil,
        fallback: Value? = nil, placeholder: Value, meaning: String
    ) {
        let parse = format.parse
        definition = SettingDefinition(
            name: name, allowed: format.allowed, defaultValue: defaultText, whenUnset: whenUnset, meaning: meaning,
            isSecret: Value.self == Secret?.self, accepts: { parse($0) != nil })
        self.parse = parse
        self.fallback = fallback
        self.placeholder = placeholder
    }
}

/// A setting without the type of its value, for the catalogue, `--settings` and README.
package struct SettingDefinition: Sendable {
    package let name: String
    /// The allowed values, in words.
    package let allowed: String
    package let defaultValue: String?
    /// The effect of a missing value, in words; nil for a setting with a default.
    package let whenUnset: String?
    package let meaning: String
    /// Whether its value is never printed, and `<name>_FILE` may name a file that holds it.
    package let isSecret: Bool
    package let accepts: @Sendable (String) -> Bool

    /// The variable that names a file with the value.
    package var fileName: String? { isSecret ? "\(name)_FILE" : nil }
}

/// A setting of any type, for lists of them.
package protocol AnySetting: Sendable {
    var definition: SettingDefinition { get }
}

extension Setting: AnySetting {}

import CommandLineOptions

/// Reads settings of the catalogue from the environment and collects every problem.
///
///     var reader = SettingsReader(environment: ProcessInfo.processInfo.environment)
///     let database = PostgresConfiguration(settings: &reader)
///     let slots = reader.integer("BDA_WORKER_SLOTS")
///     try reader.finish()
///
/// A wrong value yields the default (or an empty one) and a problem; `finish` throws all problems at once. Every variable
/// that begins with `BDA_` is checked, whether it is asked for or not, so that a mistake shows at the first start. An empty
/// variable is as one that is not set: Compose files make such.
///
/// `BDA_TEST_…` belongs to the test suite and is left alone.
package struct SettingsReader: Sendable {
    private var values: [String: String] = [:]
    /// Properties of a library by their own names, each with the variable that it came from.
    private var properties: [String: (variable: String, value: String)] = [:]
    private var labels: [String: String] = [:]
    private var problems: [SettingsError.Problem] = []

    private static let propertyPrefix = "BDA_KAFKA_"

    /// Reads and checks the variables of `environment`.
    package init(environment: [String: String]) {
        let settings = environment.filter { name, value in
            name.hasPrefix("BDA_") && !name.hasPrefix("BDA_TEST_") && !value.isEmpty
        }
        let links = ServiceLinks(settings)
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) where !links.variables.contains(name) {
            if let definition = SettingDefinition.byName[name] {
                accept(value, for: definition)
            } else if Self.fileNames[name] != nil {
                values[name] = value
            } else if name.hasPrefix(Self.propertyPrefix) {
                accept(value, forPropertyIn: name)
            } else {
                let names = SettingDefinition.catalogue.map(\.name) + Self.fileNames.keys.sorted()
                let nearest = NearestName.find(name, among: names)
                refuse(
                    name, problem: "there is no such setting",
                    hint: nearest.map { "did you mean \($0)?" } ?? "--help lists all settings")
            }
        }
        for (variable, service) in links.services {
            refuse(
                variable, problem: "Kubernetes set this for the Service '\(service)'; it is no setting",
                hint: "set enableServiceLinks: false in the pod's spec")
        }
    }

    /// Lets a command-line option stand for a setting; nil changes nothing. Problems then name the option.
    package mutating func override(_ name: String, with value: String?, option: String) {
        guard let value else { return }
        let definition = SettingDefinition.named(name)
        problems.removeAll { $0.setting == name }
        labels[name] = option
        values[name] = nil
        accept(value, for: definition)
    }

    /// The value of a text, name, choice, time or URL setting. One without value and default is a problem.
    package mutating func string(_ name: String) -> String {
        if let value = optionalString(name) { return value }
        let definition = SettingDefinition.named(name)
        if !hasProblem(name) { refuse(name, problem: "is not set; allowed: \(definition.allowed)") }
        return ""
    }

    /// The value, else the default, else nil.
    package func optionalString(_ name: String) -> String? {
        let definition = SettingDefinition.named(name)
        precondition(!definition.isSecret, "\(name) is read by secret(_:)")
        return values[name] ?? definition.defaultValue
    }

    /// The value of a whole-number setting.
    package mutating func integer(_ name: String) -> Int { Int(string(name)) ?? 0 }

    /// The value of a whole-number setting that may be left out.
    package func optionalInteger(_ name: String) -> Int? { optionalString(name).flatMap { Int($0) } }

    /// The value of a `true` or `false` setting.
    package mutating func boolean(_ name: String) -> Bool { string(name) == "true" }

    /// The texts of a list setting; empty when it is not set.
    package func list(_ name: String) -> [String] {
        optionalString(name).map(SettingDefinition.elements) ?? []
    }

    /// The value of a choice setting. The catalogue has the same words as `Choice`.
    package mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, as type: Choice.Type
    ) -> Choice where Choice.RawValue == String {
        guard case .choice(let words) = SettingDefinition.named(name).kind,
            Set(words) == Set(type.allCases.map(\.rawValue))
        else { preconditionFailure("\(type) has other words than \(name) in the catalogue") }
        // Nothing is used when `finish` throws: any case will do for a value that is missing.
        return Choice(rawValue: string(name)) ?? type.allCases.first!
    }

    /// The value of a secret, from the variable or from the file that `<name>_FILE` names; nil when neither is set. The
    /// file is read once here, so that a mistake shows at the start, and again whenever the secret is revealed.
    package mutating func secret(_ name: String) -> Secret? {
        let definition = SettingDefinition.named(name)
        precondition(definition.isSecret, "\(name) is no secret")
        guard definition.hasFile, let path = values["\(name)_FILE"] else { return values[name].map { Secret($0) } }
        guard values[name] == nil else {
            refuse(name, problem: "is set, and \(name)_FILE too", hint: "set one of them")
            return nil
        }
        let secret = Secret(file: path, setting: "\(name)_FILE")
        do throws(SecretUnreadable) {
            _ = try secret.reveal()
            return secret
        } catch {
            refuse(error.setting, problem: error.problem)
            return nil
        }
    }

    /// The variables that begin with `prefix` and are no settings of the catalogue, as properties of a library:
    /// `BDA_KAFKA_SSL_CA_LOCATION` is `ssl.ca.location`. The only prefix that lets such pass is `BDA_KAFKA_`.
    package func properties(prefix: String) -> [String: String] {
        precondition(prefix == Self.propertyPrefix, "\(prefix) is no prefix of properties")
        return properties.mapValues(\.value)
    }

    /// Records a problem that only the caller can see. `problem` and `hint` must not hold a secret.
    package mutating func refuse(_ name: String, problem: String, hint: String? = nil) {
        problems.append(
            SettingsError.Problem(
                setting: labels[name] ?? name, problem: problem, hint: hint.flatMap { $0.isEmpty ? nil : $0 }))
    }

    /// Throws a `SettingsError` with every problem, if there is one.
    package func finish() throws(SettingsError) {
        guard !problems.isEmpty else { return }
        let order = Dictionary(
            uniqueKeysWithValues: SettingDefinition.catalogue.enumerated().map { ($1.name, $0) })
        throw SettingsError(
            problems: problems.sorted {
                (order[$0.setting] ?? .max, $0.setting) < (order[$1.setting] ?? .max, $1.setting)
            })
    }

    private mutating func accept(_ value: String, for definition: SettingDefinition) {
        if definition.accepts(value) {
            values[definition.name] = value
        } else {
            refuse(definition.name, problem: "\(Self.shown(value)) is not allowed; allowed: \(definition.allowed)")
        }
    }

    private mutating func accept(_ value: String, forPropertyIn variable: String) {
        let name = variable.dropFirst(Self.propertyPrefix.count).lowercased().replacing("_", with: ".")
        if let other = properties[name] {
            refuse(
                variable, problem: "sets the property '\(name)', as \(other.variable) does", hint: "remove one of them")
        } else {
            properties[name] = (variable, value)
        }
    }

    private func hasProblem(_ name: String) -> Bool {
        problems.contains { $0.setting == labels[name] ?? name }
    }

    /// A refused value for people: on one line, not too long, and without what may be a password in a URL.
    private static func shown(_ value: String) -> String {
        if value.utf8.contains(UInt8(ascii: "@")) { return "the value" }
        return "'\(SettingsError.loggable(value, atMost: 80))'"
    }

    /// `<name>_FILE` of the secrets, with the secret's name.
    private static let fileNames = Dictionary(
        uniqueKeysWithValues: SettingDefinition.catalogue.filter(\.hasFile).map { ("\($0.name)_FILE", $0.name) })
}

import CommandLineOptions

/// Reads settings from the environment and collects every problem.
///
///     var reader = SettingsReader(environment: ProcessInfo.processInfo.environment, catalogue: .programs)
///     let database = PostgresConfiguration(settings: &reader)
///     let slots = reader[WorkerSetting.slots]
///     try reader.finish()
///
/// A wrong value yields the default (or an empty value) and a problem; `finish` throws all problems at once. Every
/// variable that begins with `BDA_` is checked, even if it is not read, so that a mistake is found at the first start.
/// An empty variable counts as not set, because Compose files create such variables.
///
/// `BDA_TEST_…` is reserved for the test suite and ignored.
package struct SettingsReader: Sendable {
    private let catalogue: SettingCatalogue
    /// The allowed values of the catalogue's settings and of their `…_FILE`.
    private var values: [String: String] = [:]
    /// Properties of libraries by their own names, each with the variable that sets it.
    private var properties: [String: (variable: String, value: String)] = [:]
    private var problems: [SettingsError.Problem] = []

    package init(environment: [String: String], catalogue: SettingCatalogue) {
        self.catalogue = catalogue
        let variables = environment.filter { name, value in
            name.hasPrefix("BDA_") && !name.hasPrefix("BDA_TEST_") && !value.isEmpty
        }
        let links = ServiceLinks(variables)
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) where !links.variables.contains(name) {
            if let definition = catalogue.byName[name] {
                accept(value, for: definition)
            } else if catalogue.fileNames.contains(name) {
                values[name] = value
            } else if let properties = catalogue.properties(of: name) {
                accept(value, forPropertyIn: name, properties.prefix)
            } else {
                let names = catalogue.settings.map(\.name) + catalogue.fileNames.sorted()
                let nearest = NearestName.find(name, among: names)
                refuse(
                    name, problem: "there is no such setting",
                    hint: nearest.map { "did you mean \($0)?" } ?? "--settings lists all settings")
            }
        }
        for (variable, service) in links.services {
            refuse(
                variable, problem: "Kubernetes set this for the Service '\(service)'; it is not a setting",
                hint: "set enableServiceLinks: false in the pod's spec")
        }
    }

    /// The value of a setting, else its default. A required setting without a value is recorded as a problem.
    package subscript<Value>(setting: Setting<Value>) -> Value {
        mutating get {
            precondition(catalogue.byName[setting.name] != nil, "\(setting.name) is not in the catalogue")
            if let fileName = setting.definition.fileName, let path = values[fileName] {
                return secret(setting.name, inFile: path, fileName: fileName) as? Value ?? setting.placeholder
            }
            if let value = values[setting.name].flatMap(setting.parse) ?? setting.fallback { return value }
            requireValue(of: setting)
            return setting.placeholder
        }
    }

    /// Records that a setting is missing, for a setting that is required because of other settings.
    package mutating func requireValue<Value>(of setting: Setting<Value>) {
        guard values[setting.name] == nil, !problems.contains(where: { $0.setting == setting.name }) else { return }
        refuse(setting.name, problem: "is not set; allowed: \(setting.definition.allowed)")
    }

    /// A secret in a file. The file is read here, so that a mistake is found at the start, and by each `reveal()`.
    private mutating func secret(_ name: String, inFile path: String, fileName: String) -> Secret? {
        guard values[name] == nil else {
            refuse(name, problem: "is set, and \(fileName) too", hint: "set one of them")
            return nil
        }
        let secret = Secret(file: path, setting: fileName)
        do throws(SecretUnreadable) {
            _ = try secret.reveal()
            return secret
        } catch {
            refuse(error.setting, problem: error.problem)
            return nil
        }
    }

    /// The variables that begin with the prefix and are not settings, by the library's names.
    package func values(of properties: SettingProperties) -> [String: String] {
        self.properties.filter { $1.variable.hasPrefix(properties.prefix) }.mapValues(\.value)
    }

    /// Records a problem that the caller found. `problem` and `hint` must not hold a secret.
    package mutating func refuse(_ name: String, problem: String, hint: String? = nil) {
        problems.append(SettingsError.Problem(setting: name, problem: problem, hint: hint))
    }

    /// Throws a `SettingsError` with all problems, if there are any.
    package func finish() throws(SettingsError) {
        guard !problems.isEmpty else { return }
        let order = Dictionary(uniqueKeysWithValues: catalogue.settings.enumerated().map { ($1.name, $0) })
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

    private mutating func accept(_ value: String, forPropertyIn variable: String, _ prefix: String) {
        let name = variable.dropFirst(prefix.count).lowercased().replacing("_", with: ".")
        if let other = properties[name] {
            refuse(
                variable, problem: "sets the property '\(name)', as \(other.variable) does", hint: "remove one of them")
        } else {
            properties[name] = (variable, value)
        }
    }

    /// A refused value for a message: on one line, shortened, and without a URL's password.
    private static func shown(_ value: String) -> String {
        if value.utf8.contains(UInt8(ascii: "@")) { return "the value" }
        return "'\(SettingsError.loggable(value, atMost: 80))'"
    }
}

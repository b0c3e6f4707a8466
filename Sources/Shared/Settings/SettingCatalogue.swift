/// The settings of one module, under a heading of `--settings` and README.
package struct SettingSection: Sendable {
    let title: String
    let settings: [SettingDefinition]
    /// Variables that begin with this prefix and are not settings are properties of a library.
    let properties: SettingProperties?

    package init(_ title: String, _ settings: [any AnySetting], properties: SettingProperties? = nil) {
        self.title = title
        self.settings = settings.map(\.definition)
        self.properties = properties
    }
}

/// Properties of a library that pass through the environment: `BDA_KAFKA_SSL_CA_LOCATION` is `ssl.ca.location`.
package struct SettingProperties: Sendable {
    package let prefix: String
    let meaning: String

    package init(prefix: String, _ meaning: String) {
        self.prefix = prefix
        self.meaning = meaning
    }
}

/// All settings that an environment may hold, in the order in which they are listed and problems are reported. Programs
/// that share an environment share one catalogue.
package struct SettingCatalogue: Sendable {
    let sections: [SettingSection]
    let byName: [String: SettingDefinition]
    /// `<name>_FILE` of each secret.
    let fileNames: Set<String>

    package init(_ sections: SettingSection...) {
        self.sections = sections
        let all = sections.flatMap(\.settings)
        byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
        fileNames = Set(all.compactMap(\.fileName))
    }

    package var settings: [SettingDefinition] { sections.flatMap(\.settings) }

    func properties(of variable: String) -> SettingProperties? {
        sections.lazy.compactMap(\.properties).first { variable.hasPrefix($0.prefix) }
    }
}

extension SettingCatalogue {
    private static let width = 100

    /// All settings as text for `--settings`: by section, each with its allowed values, its default and its meaning.
    package var helpText: String {
        var text = "Settings are environment variables. A variable that is empty counts as not set.\n"
        for section in sections {
            text += "\n\(section.title):\n"
            for setting in section.settings {
                let absence =
                    setting.defaultValue.map { "default: \($0)" }
                    ?? setting.whenUnset.map { $0 == "required" ? $0 : "when unset: \($0)" } ?? ""
                text += "  \(setting.name)\(setting.fileName.map { " or \($0)" } ?? "")\n"
                text += Self.wrapped(setting.meaning) + Self.wrapped("\(setting.allowed); \(absence)")
            }
            if let properties = section.properties {
                text += "  \(properties.prefix)<PROPERTY>\n" + Self.wrapped(properties.meaning)
            }
        }
        return text
    }

    /// The table in README. A test compares the two.
    package var markdownTable: String {
        var text = "| variable | default | allowed | meaning |\n| --- | --- | --- | --- |\n"
        for section in sections {
            text += "| **\(section.title)** | | | |\n"
            for setting in section.settings {
                let names = ([setting.name] + [setting.fileName].compactMap { $0 }).map { "`\($0)`" }
                let absence = setting.defaultValue.map { "`\($0)`" } ?? setting.whenUnset ?? ""
                let row = [names.joined(separator: " or "), absence, setting.allowed, setting.meaning]
                text += "| \(row.joined(separator: " | ")) |\n"
            }
            if let properties = section.properties {
                text += "| `\(properties.prefix)<PROPERTY>` | | | \(properties.meaning) |\n"
            }
        }
        return text
    }

    private static func wrapped(_ text: String) -> String {
        let indent = "      "
        var lines = [""]
        for word in text.split(separator: " ") {
            if !lines[lines.count - 1].isEmpty, indent.count + lines[lines.count - 1].count + 1 + word.count > width {
                lines.append("")
            }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        }
        return lines.map { "\(indent)\($0)\n" }.joined()
    }
}

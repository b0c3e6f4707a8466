extension SettingDefinition {
    /// All settings as text for `--help`: by section, each with what is allowed, its default and its meaning.
    package static var referenceTable: String {
        var text = "Settings are environment variables:\n"
        for section in Section.allCases {
            text += "\n\(section.rawValue):\n"
            for setting in catalogue where setting.section == section {
                let name = setting.name + (setting.hasFile ? " or \(setting.name)_FILE" : "")
                let fallback =
                    setting.defaultValue.map { "default \($0)" } ?? "if not set: \(setting.without ?? "nothing")"
                text += "  \(name)\n"
                text += "      \(setting.meaning)\n"
                text += "      \(setting.allowed); \(setting.without == "required" ? "required" : fallback)\n"
            }
            if section == .kafka {
                text += "  BDA_KAFKA_<PROPERTY>\n"
                text += "      any property of librdkafka: BDA_KAFKA_SECURITY_PROTOCOL is security.protocol\n"
            }
        }
        return text
    }
}

/// Everything that is wrong with the settings, at once. `description` is safe to log: it has no secret's value.
public struct SettingsError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with one setting.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The environment variable, or the option that stands for it.
        public let setting: String
        /// What is wrong and what is allowed.
        public let problem: String
        /// What to do about it.
        public let hint: String?

        /// One line: setting, problem, hint.
        public var description: String {
            let text = "\(setting): \(problem)" + (hint.map { " (\($0))" } ?? "")
            return SettingsError.loggable(text, atMost: 400)
        }
    }

    /// On one line, so many Unicode scalars (a character may be made of any number of them), and nothing that steers a
    /// terminal.
    static func loggable(_ text: String, atMost count: Int) -> String {
        let plain = text.unicodeScalars.prefix(count).map {
            switch $0.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: $0.escaped(asASCII: true)
            default: String($0)
            }
        }
        return String(plain.joined().unicodeScalars.prefix(count))
    }

    /// In the order of the catalogue.
    public let problems: [Problem]

    /// A heading and one line for each problem.
    public var description: String {
        let heading = problems.count == 1 ? "1 setting is wrong" : "\(problems.count) settings are wrong"
        return heading + ":" + problems.map { "\n  \($0)" }.joined()
    }
}

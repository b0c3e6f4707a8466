package import CommandLineOptions

/// Everything that is wrong with the settings, at once. `description` is safe to log: it has no secret's value.
package struct SettingsError: ErrorWithExitCode, Sendable, Hashable {
    /// What is wrong with one setting.
    package struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The environment variable, or the option that stands for it.
        package let setting: String
        /// What is wrong and what is allowed.
        package let problem: String
        /// What to do about it.
        package let hint: String?

        /// One line: setting, problem, hint.
        package var description: String {
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

    /// Always `usage`.
    package var exitCode: ExitCode { .usage }
    /// Each problem has its own.
    package var hint: String? { nil }

    /// In the order of the catalogue.
    package let problems: [Problem]

    /// A heading and one line for each problem.
    package var description: String {
        let heading = problems.count == 1 ? "1 setting is wrong" : "\(problems.count) settings are wrong"
        return heading + ":" + problems.map { "\n  \($0)" }.joined()
    }
}

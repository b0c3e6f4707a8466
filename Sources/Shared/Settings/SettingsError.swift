package import CommandLineOptions

/// All problems of the settings. `description` is safe to log: it holds no secret's value.
package struct SettingsError: ErrorWithExitCode, Sendable, Hashable {
    package struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The environment variable, or the option that replaces it.
        package let setting: String
        /// The cause and the allowed values.
        package let problem: String
        package let hint: String?

        /// One line: setting, problem, hint.
        package var description: String {
            let text = "\(setting): \(problem)" + (hint.map { " (\($0))" } ?? "")
            return SettingsError.loggable(text, atMost: 400)
        }
    }

    /// A text on one line, of at most `count` Unicode scalars (a character may consist of any number of them), without
    /// control characters of terminals.
    static func loggable(_ text: String, atMost count: Int) -> String {
        let plain = text.unicodeScalars.prefix(count).map {
            switch $0.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: $0.escaped(asASCII: true)
            default: String($0)
            }
        }
        return String(plain.joined().unicodeScalars.prefix(count))
    }

    package var exitCode: ExitCode { .usage }
    /// Each problem has its own hint.
    package var hint: String? { nil }

    /// In the order of the catalogue.
    package let problems: [Problem]

    /// A heading and one line for each problem.
    package var description: String {
        let heading = problems.count == 1 ? "1 setting is wrong" : "\(problems.count) settings are wrong"
        return heading + ":" + problems.map { "\n  \($0)" }.joined()
    }
}

import ObjectStore

@testable import Settings

extension FuzzTarget {
    /// An environment, a variable a line.
    static let settings = FuzzTarget(
        name: "settings",
        words: SettingDefinition.catalogue.map { $0.name + "=" } + [
            "BDA_KAFKA_", "BDA_KAFKA_a.b=", "BDA_KAFKA_A_B=", "BDA_X=", "_FILE=", "_PORT=tcp://10.0.0.1:80",
            "AWS_ENDPOINT_URL=",
            "\n", "=", "-1", "99999999999999999999", "true", "Europe/Berlin", "../../etc/passwd", "05:00", "24:00",
            "s3://a-b/c",
            "file:///srv", "https://h:1", "@", "key=value", ",", "/", "\u{301}", "\u{1B}[31m", "\u{85}",
        ]
    ) { input in
        var environment: [String: String] = [:]
        for line in input.split(separator: UInt8(ascii: "\n")) {
            let (name, value) = Array(line).cut(at: "=")
            // No variable of a process holds a zero byte.
            if line.contains(0) { continue }
            environment[name.text] = value.text
        }
        try checkSettings(environment)
    }

    private static func checkSettings(_ environment: [String: String]) throws {
        var reader = SettingsReader(environment: environment)
        let store = ObjectStoreConfiguration(settings: &reader, environment: environment)
        _ = reader.properties(prefix: "BDA_KAFKA_")
        var problem: SettingsError?
        do throws(SettingsError) {
            try reader.finish()
        } catch {
            problem = error
        }
        // The same again: a dictionary's order must not decide.
        var again = SettingsReader(environment: environment)
        _ = ObjectStoreConfiguration(settings: &again, environment: environment)
        var second: SettingsError?
        do throws(SettingsError) {
            try again.finish()
        } catch {
            second = error
        }
        try hold(problem?.description == second?.description, "settings that are read twice are the same")

        if let problem {
            for one in problem.problems { try holdLoggable(one.description, most: 1600) }
            for secret in SettingDefinition.catalogue where secret.isSecret {
                guard let value = environment[secret.name], value.utf8.count > 12 else { continue }
                let others = environment.filter { $0.key != secret.name }
                if others.contains(where: { $0.key.contains(value) || $0.value.contains(value) }) { continue }
                try hold(!problem.description.contains(value), "a secret is not printed")
            }
            return
        }
        for setting in SettingDefinition.catalogue where !setting.isSecret {
            guard let value = reader.optionalString(setting.name) else { continue }
            switch setting.kind {
            case .integer(let range):
                try hold(range.contains(reader.integer(setting.name)), "\(setting.name) is in its range")
            case .boolean: try hold(["true", "false"].contains(value), "\(setting.name) is true or false")
            case .choice(let words): try hold(words.contains(value), "\(setting.name) is one of its words")
            case .name:
                try hold(
                    value.utf8.count <= 128 && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f },
                    "\(setting.name) is a name")
            case .list: try hold(!reader.list(setting.name).isEmpty, "\(setting.name) has elements")
            default: break
            }
        }
        // Another process that is told the place finds the same.
        var other = SettingsReader(environment: ["BDA_OUTPUT": store.uri])
        let same = ObjectStoreConfiguration(settings: &other, environment: [:])
        try other.finish()
        try hold(same.uri == store.uri, "a place is found by its address")
    }
}

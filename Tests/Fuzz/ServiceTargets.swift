import Kafka
import ObjectStore
import Postgres
import ProgramSettings

@testable import Settings

extension FuzzTarget {
    /// An environment, a variable a line.
    static let settings = FuzzTarget(
        name: "settings",
        words: SettingCatalogue.programs.settings.map { $0.name + "=" } + [
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
        var reader = SettingsReader(environment: environment, catalogue: .programs)
        let store = ObjectStoreConfiguration(settings: &reader, environment: environment)
        _ = reader.values(of: KafkaSetting.properties)
        var problem: SettingsError?
        do throws(SettingsError) {
            try reader.finish()
        } catch {
            problem = error
        }
        // The same again: a dictionary's order must not decide.
        var again = SettingsReader(environment: environment, catalogue: .programs)
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
            for secret in SettingCatalogue.programs.settings where secret.isSecret {
                guard let value = environment[secret.name], value.utf8.count > 12 else { continue }
                let others = environment.filter { $0.key != secret.name }
                if others.contains(where: { $0.key.contains(value) || $0.value.contains(value) }) { continue }
                try hold(!problem.description.contains(value), "a secret is not printed")
            }
            return
        }
        for setting in SettingCatalogue.programs.settings {
            guard let value = environment[setting.name], !value.isEmpty else { continue }
            try hold(setting.accepts(value), "\(setting.name) is allowed")
        }
        try hold((1...1024).contains(reader[RunSetting.partitions]), "the number of partitions is in its range")
        try hold((1...65_535).contains(reader[PostgresSetting.port]), "the port is in its range")
        try hold((0...23).contains(reader[RunSetting.cutoffTime].hour), "the cut-off has an hour")
        try hold(!reader[RunSetting.systems].isEmpty, "there is a system")
        // Another process that is told the place finds the same.
        var other = SettingsReader(environment: ["BDA_OUTPUT": store.uri], catalogue: .programs)
        let same = ObjectStoreConfiguration(settings: &other, environment: [:])
        try other.finish()
        try hold(same.uri == store.uri, "a place is found by its address")
    }
}

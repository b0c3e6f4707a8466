import Foundation
import Glibc
import Kafka
import Logging
import ObjectStore
import Postgres
import ProgramSettings
import TestSupport
import Testing

@testable import Settings

struct SettingsTests {
    private func problems(_ reader: SettingsReader) -> [String] {
        do throws(SettingsError) {
            try reader.finish()
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    private func problems(_ environment: [String: String]) -> [String] {
        problems(SettingsReader(programs: environment))
    }

    @Test func defaultsAreThoseOfTheCatalogue() throws {
        var reader = SettingsReader(programs: ["PATH": "/bin", "BDA_DB_HOST": "db"])
        #expect(reader[PostgresSetting.host] == "db")
        #expect(reader[PostgresSetting.port] == 5432)
        #expect(reader[PostgresSetting.database] == "octopus")
        #expect(reader[PostgresSetting.user] == "billing_aggregator")
        #expect(reader[PostgresSetting.maximumConnections] == 4)
        #expect(reader[ObjectStoreSetting.region] == "eu-central-1")
        #expect(reader[RunSetting.systems] == ["tripica", "bookkeeper"])
        #expect(reader[RunSetting.maximumRowsPerFile] == 1_000_000)
        #expect(reader[RunSetting.cutoffTime] == TimeOfDay(hour: 5, minute: 0))
        #expect(reader[ObjectStoreSetting.usesPathStyle] == false)
        #expect(reader[RunSetting.deadline] == nil)
        #expect(reader[RunSetting.compressionLevel] == nil)
        #expect(reader[PostgresSetting.password] == nil)
        try reader.finish()
    }

    @Test func everyDefaultIsAllowed() {
        for setting in SettingCatalogue.programs.settings {
            if let value = setting.defaultValue { #expect(setting.accepts(value), "\(setting.name)") }
            #expect((setting.defaultValue == nil) != (setting.whenUnset == nil), "\(setting.name)")
        }
    }

    @Test func allProblemsAreNamedAtOnceInTheCataloguesOrder() throws {
        var reader = SettingsReader(programs: [
            "BDA_PARTITIONS": "0", "BDA_ENVIRONMENT": "production", "BDA_TIME_ZONE": "Europe/Atlantis",
            "BDA_CUTOFF_TIME": "24:00", "BDA_UPLOAD_PART_BYTES": "1024", "BDA_S3_PATH_STYLE": "yes",
            "BDA_PARTITONS": "4", "BDA_DB_PASSWRD": "hunter2",
        ])
        _ = reader[ProgramSetting.clientID]
        _ = reader[ProgramSetting.deployment]
        #expect(reader[RunSetting.partitions] == 16)
        reader.refuse("BDA_KAFKA_GROUP_ID", problem: "is ours", hint: "remove it")
        let error = #expect(throws: SettingsError.self) { try reader.finish() }
        #expect(
            error?.description == """
                10 settings are wrong:
                  BDA_CLIENT_ID: is not set; allowed: letters, digits, '-', '_' and '.', at most 128
                  BDA_ENVIRONMENT: 'production' is not allowed; allowed: dev, stage, prod
                  BDA_TIME_ZONE: 'Europe/Atlantis' is not allowed; allowed: a time zone such as Europe/Berlin or UTC
                  BDA_CUTOFF_TIME: '24:00' is not allowed; allowed: a time of day as HH:MM, from 00:00 to 23:59
                  BDA_PARTITIONS: '0' is not allowed; allowed: a whole number from 1 to 1024
                  BDA_UPLOAD_PART_BYTES: '1024' is not allowed; allowed: a whole number from 5242880 to 1073741824
                  BDA_S3_PATH_STYLE: 'yes' is not allowed; allowed: true or false
                  BDA_DB_PASSWRD: there is no such setting (did you mean BDA_DB_PASSWORD?)
                  BDA_KAFKA_GROUP_ID: is ours (remove it)
                  BDA_PARTITONS: there is no such setting (did you mean BDA_PARTITIONS?)
                """)
    }

    @Test(arguments: [
        ("BDA_PARTITIONS", ["1", "1024"], ["0", "1025", "-1", "4.0", "", "four", "99999999999999999999", " 4"]),
        ("BDA_MAX_ROW_SIZE_FILE", ["1", "1000000000"], ["0", "1000000001"]),
        ("BDA_UPLOAD_PART_BYTES", ["5242880", "1073741824"], ["5242879", "1073741825"]),
        ("BDA_WORKER_SLOTS", ["1", "64"], ["0", "65"]),
        ("BDA_DB_PORT", ["1", "65535"], ["0", "65536", "tcp"]),
        ("BDA_HTTP_PORT", ["0", "8080"], ["65536"]),
        ("BDA_CUTOFF_TIME", ["00:00", "23:59"], ["5:00", "05:60", "0500", "05:00:00", "aa:bb", "+5:00", "05 00"]),
        ("BDA_TIME_ZONE", ["UTC", "Europe/Berlin", "America/New_York"], ["Berlin", "Europe"]),
        ("BDA_CLIENT_ID", ["acme", "a.b-c_9"], ["a/b", "..", "ä", "a b", String(repeating: "x", count: 129)]),
        (
            "BDA_S3_ENDPOINT", ["http://localhost:9000", "https://s3.example.com"],
            ["localhost:9000", "ftp://x", "http://"]
        ),
        ("BDA_OUTPUT", ["s3://bucket", "file:///out"], ["/out", "gs://bucket"]),
        ("BDA_S3_PATH_STYLE", ["true", "false"], ["True", "1"]),
        ("BDA_SYSTEMS", ["tripica", "tripica, bookkeeper"], [",", " "]),
        ("BDA_LOG_LEVEL", ["debug", "info", "warn", "error"], ["INFO", "warning"]),
    ])
    func valuesAreHeldAgainstWhatIsAllowed(_ name: String, _ good: [String], _ bad: [String]) {
        for value in good { #expect(problems([name: value]) == [], "\(name)=\(value)") }
        for value in bad where !value.isEmpty {
            let found = problems([name: value])
            #expect(found.count == 1 && found.first?.hasPrefix("\(name): '") == true, "\(name)=\(value): \(found)")
        }
    }

    @Test func anEmptyVariableIsAsOneThatIsNotSet() throws {
        var reader = SettingsReader(programs: [
            "BDA_PARTITIONS": "", "BDA_KAFKA_SECURITY_PROTOCOL": "", "BDA_TYPO": "",
        ])
        #expect(reader[RunSetting.partitions] == 16)
        #expect(reader.values(of: KafkaSetting.properties).isEmpty)
        try reader.finish()
    }

    @Test func aMissingSettingIsNamedOnce() {
        var reader = SettingsReader(programs: ["BDA_ENVIRONMENT": "live"])
        _ = reader[PostgresSetting.host]
        _ = reader[PostgresSetting.host]
        _ = reader[ProgramSetting.deployment]
        #expect(
            problems(reader) == [
                "BDA_ENVIRONMENT: 'live' is not allowed; allowed: dev, stage, prod",
                "BDA_DB_HOST: is not set; allowed: a text",
            ])
    }

    @Test func aSettingThatIsNotReadIsCheckedButNotRequired() {
        #expect(problems(["BDA_WORKER_SLOTS": "none"]).count == 1)
        #expect(problems([:]) == [])
    }

    @Test func listsLoseSpacesAndEmptyTexts() {
        var reader = SettingsReader(programs: ["BDA_SYSTEMS": " tripica , ,bookkeeper,"])
        #expect(reader[RunSetting.systems] == ["tripica", "bookkeeper"])
        #expect(reader[ObjectStoreSetting.tags] == nil)
    }

    @Test func kafkaVariablesThatAreNoSettingsAreProperties() throws {
        let reader = SettingsReader(programs: [
            "BDA_KAFKA_BOOTSTRAP_SERVERS": "k:9092", "BDA_KAFKA_SSL_CA_LOCATION": "/ca.pem",
            "BDA_KAFKA_SECURITY_PROTOCOL": "SSL", "BDA_KAFKA_SASL_PASSWORD": "p",
            "BDA_KAFKA_SSL_KEY_PASSWORD_FILE": "/run/secrets/p",
        ])
        #expect(
            reader.values(of: KafkaSetting.properties) == ["ssl.ca.location": "/ca.pem", "security.protocol": "SSL"])
        try reader.finish()
    }

    @Test func aPropertyThatTwoVariablesSetIsAProblem() {
        #expect(
            problems(["BDA_KAFKA_A_B": "1", "BDA_KAFKA_a.b": "2"]) == [
                "BDA_KAFKA_a.b: sets the property 'a.b', as BDA_KAFKA_A_B does (remove one of them)"
            ])
    }

    @Test func problemsAreShortLinesWhateverTheValueIs() throws {
        let accents = "x" + String(repeating: "\u{301}", count: 10_000)
        for value in [accents, "a\u{85}\u{2028}\u{1B}[31m\u{202E}b"] {
            let problem = try #require(problems(["BDA_DB_PORT": value, "BDA_\(value)": "x"]).first)
            #expect(problem.utf8.count < 1600)
            #expect(!problem.unicodeScalars.contains { ["\u{85}", "\u{2028}", "\u{1B}", "\u{202E}"].contains($0) })
        }
    }

    @Test func aServiceLinkOfKubernetesIsExplainedOnceForEachService() {
        let found = problems([
            "BDA_KAFKA_PORT": "tcp://10.0.0.7:9092", "BDA_KAFKA_SERVICE_HOST": "10.0.0.7",
            "BDA_KAFKA_SERVICE_PORT": "9092", "BDA_KAFKA_SERVICE_PORT_CLIENT": "9092",
            "BDA_KAFKA_PORT_9092_TCP": "tcp://10.0.0.7:9092", "BDA_KAFKA_PORT_9092_TCP_ADDR": "10.0.0.7",
            "BDA_KAFKA_SECURITY_PROTOCOL": "SSL", "BDA_DB_PORT": "tcp://10.0.0.8:5432",
            "BDA_DB_PORT_5432_TCP_PROTO": "tcp", "BDA_DB_HOST": "db",
        ])
        #expect(
            found == [
                "BDA_DB_PORT: Kubernetes set this for the Service 'bda-db'; it is not a setting "
                    + "(set enableServiceLinks: false in the pod's spec)",
                "BDA_KAFKA_PORT: Kubernetes set this for the Service 'bda-kafka'; it is not a setting "
                    + "(set enableServiceLinks: false in the pod's spec)",
            ])
    }

    @Test func variablesOfTheTestSuiteAreLeftAlone() {
        #expect(problems(["BDA_TEST_REQUIRE_KAFKA": "1"]) == [])
    }
}

/// Nothing of a secret may ever be printed.
struct SecretTests {
    @Test func everyWayOfPrintingGivesStars() throws {
        struct Holder { let password: Secret? }
        let secret = Secret("hunter2")
        var dumped = ""
        dump(Holder(password: secret), to: &dumped)
        let texts = [
            "\(secret)", String(describing: secret), String(reflecting: secret), dumped, "\(Holder(password: secret))",
            "\([secret])", "\(["k": secret])", String(describing: Optional(secret)),
        ]
        for text in texts {
            #expect(!text.contains("hunter2"), "\(text)")
            #expect(text.contains("***") || text.contains("Secret"), "\(text)")
        }
        #expect(try secret.reveal() == "hunter2")
        #expect(secret == Secret("hunter2") && secret != Secret("hunter3"))
    }

    private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "bda-secret-\(UUID().uuidString)")
        try Data(bytes).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        try body(file.path)
    }

    @Test(arguments: [PostgresSetting.password, KafkaSetting.saslPassword, KafkaSetting.sslKeyPassword])
    func aSecretComesFromItsVariableOrItsFile(_ setting: Setting<Secret?>) throws {
        let name = setting.name
        var reader = SettingsReader(programs: [name: "p@ss word\n"])
        #expect(try reader[setting]?.reveal() == "p@ss word\n")
        try reader.finish()
        for (text, expected) in [
            ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), ("s\n\n", "s\n"), ("s3cret", "s3cret"),
        ] {
            try withFile(Array(text.utf8)) { path in
                var reader = SettingsReader(programs: ["\(name)_FILE": path])
                #expect(try reader[setting]?.reveal() == expected)
                try reader.finish()
            }
        }
    }

    @Test func aSecretsFileIsReadEachTimeTheSecretIsRevealed() throws {
        try withFile(Array("first\n".utf8)) { path in
            var reader = SettingsReader(programs: ["BDA_DB_PASSWORD_FILE": path])
            let found = reader[PostgresSetting.password]
            let secret = try #require(found)
            try reader.finish()
            #expect(try secret.reveal() == "first")
            try Data("second\n".utf8).write(to: URL(filePath: path))
            #expect(try secret.reveal() == "second")
            try FileManager.default.removeItem(atPath: path)
            let error = #expect(throws: SecretUnreadable.self) { try secret.reveal() }
            #expect(
                error?.description == "BDA_DB_PASSWORD_FILE: unable to read '\(path)': No such file or directory")
            // Opening a pipe for reading would wait for a writer.
            #expect(mkfifo(path, 0o600) == 0)
            let pipe = #expect(throws: SecretUnreadable.self) { try secret.reveal() }
            #expect(pipe?.problem.contains("not a regular file") == true)
        }
    }

    @Test func onlyTheThreeSecretsHaveAFile() {
        #expect(
            SettingCatalogue.programs.settings.compactMap(\.fileName)
                == ["BDA_DB_PASSWORD_FILE", "BDA_KAFKA_SASL_PASSWORD_FILE", "BDA_KAFKA_SSL_KEY_PASSWORD_FILE"])
        let error = #expect(throws: SettingsError.self) {
            try SettingsReader(programs: ["BDA_DB_USER_FILE": "/x"]).finish()
        }
        #expect(error?.problems.first?.problem == "there is no such setting")
    }

    @Test func whatIsWrongWithAFileIsSaidWithoutItsContents() throws {
        func problem(_ environment: [String: String]) -> String {
            var reader = SettingsReader(programs: environment)
            #expect(reader[PostgresSetting.password] == nil)
            do throws(SettingsError) { try reader.finish() } catch { return error.description }
            return ""
        }
        #expect(
            problem(["BDA_DB_PASSWORD_FILE": "/does/not/exist"])
                .contains("BDA_DB_PASSWORD_FILE: unable to read '/does/not/exist': No such file or directory"))
        #expect(problem(["BDA_DB_PASSWORD_FILE": "/"]).contains("Is a directory"))
        try withFile(Array("\n".utf8)) { #expect(problem(["BDA_DB_PASSWORD_FILE": $0]).contains("is empty")) }
        try withFile([0x68, 0xFF]) { #expect(problem(["BDA_DB_PASSWORD_FILE": $0]).contains("not UTF-8")) }
        try withFile([UInt8](repeating: 0x68, count: 70_000)) {
            #expect(problem(["BDA_DB_PASSWORD_FILE": $0]).contains("more than 64 KiB"))
        }
        try withFile(Array("from-file".utf8)) { path in
            let text = problem(["BDA_DB_PASSWORD_FILE": path, "BDA_DB_PASSWORD": "from-variable"])
            #expect(text.contains("BDA_DB_PASSWORD: is set, and BDA_DB_PASSWORD_FILE too"))
            #expect(!text.contains("from-"))
        }
    }

    @Test func noErrorRepeatsAPossibleSecret() {
        let environment = [
            "BDA_S3_ENDPOINT": "https://user:hunter2@example.com", "BDA_DB_PASWORD": "hunter2",
            "BDA_HTTP_PORT": "x\u{1B}[2J",
        ]
        let error = #expect(throws: SettingsError.self) { try SettingsReader(programs: environment).finish() }
        #expect(error?.problems.count == 3)
        #expect(error?.description.contains("hunter2") == false)
        #expect(error?.description.contains("\u{1B}") == false)
    }
}

/// The catalogue against the design's table.
struct SettingCatalogueTests {
    @Test func hasEverySettingOfTheDesign() {
        let names = """
            CLIENT_ID ENVIRONMENT LOG_LEVEL DB_HOST DB_PORT DB_NAME DB_USER DB_PASSWORD DB_MAX_CONNS S3_BUCKET S3_REGION
            SYSTEMS MAX_ROW_SIZE_FILE TIME_ZONE CUTOFF_TIME PARTITIONS SCRIPTS_DIR MAX_ATTEMPTS RETRY_BASE_SECONDS
            RETRY_MAX_SECONDS DB_SSLMODE DB_SSLROOTCERT DB_CONNECT_TIMEOUT_SECONDS KAFKA_BOOTSTRAP_SERVERS S3_ENDPOINT
            S3_PATH_STYLE S3_SSE S3_KMS_KEY_ID S3_STORAGE_CLASS S3_TAGS S3_BUCKET_OWNER SCHEMA_DRIFT HISTORY_DAYS
            RETENTION_DAYS WORKER_SLOTS WORKER_ID LEASE_SECONDS DRAIN_SECONDS JOB_TIMEOUT_SECONDS WORKER_WAIT_SECONDS
            RUN_TIMEOUT_SECONDS DEADLINE TOPIC_PREFIX JOBS_TOPIC_PARTITIONS OUTPUT OUTPUT_PREFIX UPLOAD_PART_BYTES
            COMPRESSION COMPRESSION_LEVEL LOG_FORMAT HTTP_PORT KAFKA_SASL_PASSWORD KAFKA_SSL_KEY_PASSWORD
            KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION
            """.split(whereSeparator: \.isWhitespace).map { "BDA_\($0)" }
        #expect(Set(SettingCatalogue.programs.settings.map(\.name)) == Set(names))
    }

    @Test func defaultsAreTheDesigns() {
        let defaults = [
            "LOG_LEVEL": "info", "DB_PORT": "5432", "DB_NAME": "octopus", "DB_USER": "billing_aggregator",
            "DB_MAX_CONNS": "4", "S3_REGION": "eu-central-1", "SYSTEMS": "tripica,bookkeeper",
            "MAX_ROW_SIZE_FILE": "1000000", "TIME_ZONE": "Europe/Berlin", "CUTOFF_TIME": "05:00", "PARTITIONS": "16",
            "SCRIPTS_DIR": "scripts", "MAX_ATTEMPTS": "5", "RETRY_BASE_SECONDS": "5", "RETRY_MAX_SECONDS": "300",
            "DB_SSLMODE": "prefer", "DB_CONNECT_TIMEOUT_SECONDS": "10", "S3_PATH_STYLE": "false",
            "SCHEMA_DRIFT": "fail",
            "HISTORY_DAYS": "0", "RETENTION_DAYS": "0", "WORKER_SLOTS": "2", "LEASE_SECONDS": "30",
            "DRAIN_SECONDS": "30",
            "JOB_TIMEOUT_SECONDS": "3600", "WORKER_WAIT_SECONDS": "600", "RUN_TIMEOUT_SECONDS": "14400",
            "JOBS_TOPIC_PARTITIONS": "64", "OUTPUT_PREFIX": "billing", "UPLOAD_PART_BYTES": "8388608",
            "COMPRESSION": "none", "LOG_FORMAT": "text", "HTTP_PORT": "0",
        ]
        for setting in SettingCatalogue.programs.settings {
            #expect(setting.defaultValue == defaults[String(setting.name.dropFirst(4))], "\(setting.name)")
        }
    }

    @Test func theHelpNamesEachSettingWithItsDefault() {
        let text = SettingCatalogue.programs.helpText
        for setting in SettingCatalogue.programs.settings {
            #expect(text.contains("\n  \(setting.name)"), "\(setting.name)")
            if let value = setting.defaultValue { #expect(text.contains("default: \(value)\n"), "\(setting.name)") }
        }
        #expect(text.contains("BDA_DB_PASSWORD or BDA_DB_PASSWORD_FILE"))
        #expect(text.contains("BDA_KAFKA_<PROPERTY>"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    /// README's table is the one that the catalogue makes. When it differs, the message holds the text to put there.
    @Test func readmeHasTheTableOfTheCatalogue() throws {
        let readme = try String(contentsOfFile: Repository.path("README.md"), encoding: .utf8)
        let table = SettingCatalogue.programs.markdownTable
        #expect(readme.contains(table), "put this table under 'Settings' in README.md:\n\(table)")
    }

    /// A setting that no source file reads has no effect.
    @Test func eachDeclaredSettingIsRead() throws {
        let sources = try Repository.swiftFiles(under: "Sources").map {
            try String(contentsOfFile: $0, encoding: .utf8)
        }
        for type in [
            "ProgramSetting", "RunSetting", "WorkerSetting", "PostgresSetting", "KafkaSetting", "ObjectStoreSetting",
        ] {
            let declaration = try #require(sources.first { $0.contains("enum \(type) {") })
            let names = declaration.matches(of: /static let (\w+) = Setting\(/).map { String($0.1) }
            #expect(!names.isEmpty)
            for name in names {
                #expect(sources.contains { $0.contains("[\(type).\(name)]") }, "\(type).\(name) is never read")
            }
        }
    }
}

extension SettingsReader {
    fileprivate init(programs environment: [String: String]) {
        self.init(environment: environment, catalogue: .programs)
    }
}

import CommandLineOptions
import Foundation
import JobModel
import Kafka
import Ledger
import Logging
import ObjectStore
import Postgres
import ProgramSettings
import Scripts
import Settings
import Timing

/// What a command needs of its environment, read once and checked as a whole before anything is started.
struct CommandContext: Sendable {
    var settings: CoordinatorSettings
    var kafka: KafkaConfiguration?
    var output: ObjectStoreConfiguration?
    var logFormat: LogFormat
    var logger: Logger

    /// What a command uses; what it does not use is not asked for.
    struct Needs: OptionSet {
        let rawValue: Int
        static let kafka = Needs(rawValue: 1)
        static let output = Needs(rawValue: 2)
    }

    init(
        _ needs: Needs, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        var reader = SettingsReader(environment: environment, catalogue: .programs)
        settings = CoordinatorSettings(settings: &reader)
        if needs.contains(.kafka) {
            kafka = KafkaConfiguration(settings: &reader, clientID: Self.kafkaClientID)
        }
        if needs.contains(.output) { output = ObjectStoreConfiguration(settings: &reader, environment: environment) }
        let level = reader[ProgramSetting.logLevel]
        logFormat = reader[ProgramSetting.logFormat]
        try reader.finish()
        LoggingSystem.bootstrap(format: logFormat, level: level)
        var logger = Logger(label: "bda.coordinator")
        logger[metadataKey: .clientID] = "\(settings.clientID)"
        logger[metadataKey: .environment] = "\(settings.deployment)"
        self.logger = logger
    }

    /// How brokers know this process.
    static let kafkaClientID = "bda-coordinator/\(processName)"

    /// Host and process, as the ledger and brokers know them.
    static let processName = "\(ProcessInfo.processInfo.hostName)/\(ProcessInfo.processInfo.processIdentifier)"

    /// The scripts, checked.
    func scripts() throws -> ScriptSet { try ScriptSet(folders: settings.scriptsFolders) }

    /// A session for a short piece of work.
    func withSession<Value: Sendable>(
        _ body: (PostgresSession) async throws -> Value
    ) async throws -> Value {
        let session = try await PostgresSession.connect(settings.database, purpose: "coordinator")
        do {
            let value = try await body(session)
            await session.close()
            return value
        } catch {
            await session.close()
            throw error
        }
    }

    /// Throws `LedgerMismatch` unless this program can use the ledger.
    func checkLedger() async throws {
        try await withSession {
            try await LedgerSetup(folders: settings.scriptsFolders).check(in: $0, of: settings.database)
        }
    }

    /// The date, checked: not in the future, and not before its cut-off.
    func businessDate(_ given: String?) throws -> BusinessDate {
        let now = Date()
        let yesterday = settings.yesterday(at: now)
        guard let given else { return yesterday }
        let date: BusinessDate
        do {
            date = try BusinessDate(given)
        } catch {
            throw RunFailure(.usage, "--date: \(error)")
        }
        guard date <= yesterday else {
            throw RunFailure(
                .usage, "--date \(date) has not ended yet in \(settings.timeZone.identifier)",
                hint: "the newest date that can be run is \(yesterday)")
        }
        return date
    }

    /// Throws while loads for the date may still come.
    func checkCutoff(of date: BusinessDate) throws {
        let cutoff = settings.cutoff(of: date)
        guard cutoff <= Date() else {
            throw RunFailure(
                .usage,
                "the cut-off of \(date) is \(Timestamp.text(of: cutoff)), which has not passed yet: loads may still come",
                hint: "run after it, or change BDA_CUTOFF_TIME")
        }
    }

    /// The systems to run: those given, or all that are configured. Throws for one that no script knows.
    func systems(_ given: String?, of scripts: ScriptSet) throws -> [String] {
        let chosen =
            given.map { $0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } } ?? settings.systems
        let unknown = chosen.filter { !scripts.systems.contains($0) }
        guard unknown.isEmpty, !chosen.isEmpty else {
            let source = given == nil ? "BDA_SYSTEMS" : "--systems"
            throw RunFailure(
                .usage,
                unknown.isEmpty
                    ? "\(source) names no system" : "\(source): unknown system '\(unknown.joined(separator: "', '"))'",
                hint:
                    "the scripts know \(scripts.systems.sorted().joined(separator: ", ")); oibl runs by itself when all it needs are chosen"
            )
        }
        return Array(Set(chosen)).sorted()
    }
}

extension AsyncParsableCommand {
    /// Runs a command's work: what goes wrong is said on standard error, with a hint, and becomes the exit code.
    func reportingFailures(_ work: () async throws -> Void) async throws {
        do {
            try await work()
        } catch {
            let failure = RunFailure(error)
            var text = "bda-coordinator: \(failure.reason)\n"
            if let hint = failure.hint { text += "hint: \(hint)\n" }
            FileHandle.standardError.write(Data(text.utf8))
            throw failure.exitCode
        }
    }
}

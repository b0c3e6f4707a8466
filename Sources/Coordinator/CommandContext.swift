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

/// The settings and the logger of a command. All settings are read and validated once, before anything is started.
struct CommandContext: Sendable {
    var settings: CoordinatorSettings
    var kafka: KafkaConfiguration?
    var output: ObjectStoreConfiguration?
    var logFormat: LogFormat
    var logger: Logger

    /// The services that a command uses; the settings of other services are not required.
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

    /// The client id under which this process connects to brokers.
    static let kafkaClientID = "bda-coordinator/\(processName)"

    /// Host name and process id, as recorded in the ledger and at the brokers.
    static let processName = "\(ProcessInfo.processInfo.hostName)/\(ProcessInfo.processInfo.processIdentifier)"

    /// Reads and validates the scripts.
    func scripts() throws -> ScriptSet { try ScriptSet(folders: settings.scriptsFolders) }

    /// Opens a session for `body` and closes it afterwards.
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

    /// Parses a business date; the default is yesterday. Throws if the date has not ended yet.
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

    /// Throws before the cut-off of the date, because loads for it may still arrive.
    func checkCutoff(of date: BusinessDate) throws {
        let cutoff = settings.cutoff(of: date)
        guard cutoff <= Date() else {
            throw RunFailure(
                .usage,
                "the cut-off of \(date) is \(Timestamp.text(of: cutoff)), which has not passed yet: loads may still arrive",
                hint: "run the date after its cut-off, or change BDA_CUTOFF_TIME")
        }
    }

    /// Returns the systems to run: the given ones, or all configured ones. Throws if a system has no scripts.
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
                    "the systems with scripts are \(scripts.systems.sorted().joined(separator: ", ")); oibl runs if all systems that it needs are selected"
            )
        }
        return Array(Set(chosen)).sorted()
    }
}

extension AsyncParsableCommand {
    /// Runs the work of a command. Writes an error and its hint to standard error, and exits with the error's exit
    /// code.
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

import Foundation
import JobModel
import Kafka
import Ledger
import ObjectStore
import Postgres
import ProgramSettings
import Settings

/// The validated settings of a coordinator.
struct CoordinatorSettings: Sendable {
    var clientID: String
    var deployment: String
    var systems: [String]
    var timeZone: TimeZone
    var cutoffTime: TimeOfDay
    var deadline: TimeOfDay?
    var partitions: Int
    var scriptsFolders: [String]
    var maximumRowsPerFile: Int
    var uploadPartBytes: Int
    var compression: Compression
    var compressionLevel: Int?
    var outputPrefix: String
    var maximumAttempts: Int
    var retryBaseSeconds: Int
    var retryMaximumSeconds: Int
    var jobTimeoutSeconds: Int
    var workerWaitSeconds: Int
    var runTimeoutSeconds: Int
    var schemaDrift: SchemaDrift
    var historyDays: Int
    var retentionDays: Int
    var topics: Topics
    var jobsTopicPartitions: Int
    var httpPort: Int
    var database: PostgresConfiguration

    init(settings: inout SettingsReader) {
        clientID = settings[ProgramSetting.clientID]
        deployment = settings[ProgramSetting.deployment]
        systems = settings[RunSetting.systems]
        timeZone = settings[RunSetting.timeZone]
        cutoffTime = settings[RunSetting.cutoffTime]
        deadline = settings[RunSetting.deadline]
        partitions = settings[RunSetting.partitions]
        scriptsFolders = settings[RunSetting.scriptsFolders].split(separator: ":").map(String.init)
        maximumRowsPerFile = settings[RunSetting.maximumRowsPerFile]
        uploadPartBytes = settings[RunSetting.uploadPartBytes]
        compression = settings[RunSetting.compression]
        compressionLevel = settings[RunSetting.compressionLevel]
        outputPrefix = settings[RunSetting.outputPrefix]
        maximumAttempts = settings[RunSetting.maximumAttempts]
        retryBaseSeconds = settings[RunSetting.retryBaseSeconds]
        retryMaximumSeconds = settings[RunSetting.retryMaximumSeconds]
        jobTimeoutSeconds = settings[RunSetting.jobTimeoutSeconds]
        workerWaitSeconds = settings[RunSetting.workerWaitSeconds]
        runTimeoutSeconds = settings[RunSetting.runTimeoutSeconds]
        schemaDrift = settings[RunSetting.schemaDrift]
        historyDays = settings[RunSetting.historyDays]
        retentionDays = settings[RunSetting.retentionDays]
        topics = Topics(prefix: settings[ProgramSetting.topicPrefix] ?? "")
        jobsTopicPartitions = settings[RunSetting.jobsTopicPartitions]
        httpPort = settings[ProgramSetting.httpPort]
        database = PostgresConfiguration(settings: &settings)
        if retryBaseSeconds > retryMaximumSeconds {
            settings.refuse(
                RunSetting.retryBaseSeconds.name,
                problem: "\(retryBaseSeconds) is more than BDA_RETRY_MAX_SECONDS, which is \(retryMaximumSeconds)")
        }
        for (name, value) in [(ProgramSetting.clientID.name, clientID), (RunSetting.outputPrefix.name, outputPrefix)]
        where !value.isEmpty
            && !value.split(separator: "/", omittingEmptySubsequences: false).allSatisfy(ObjectLayout.isKeyComponent)
        {
            settings.refuse(
                name, problem: "'\(value)' cannot be part of an object's key",
                hint: "use letters, digits and -_. in each component, with single slashes between them")
        }
    }

    /// The default business date: yesterday in the time zone.
    func yesterday(at now: Date) -> BusinessDate { localDate(of: now).adding(days: -1) }

    /// The instant up to which loads count for the date: the cut-off time of the following day.
    func cutoff(of date: BusinessDate) -> Date { instant(of: cutoffTime, on: date.adding(days: 1)) }

    /// The instant by which the date's run should have ended; nil without `BDA_DEADLINE`.
    func deadline(of date: BusinessDate) -> Date? { deadline.map { instant(of: $0, on: date.adding(days: 1)) } }

    private func localDate(of instant: Date) -> BusinessDate {
        let seconds = Int(instant.timeIntervalSince1970.rounded(.down)) + timeZone.secondsFromGMT(for: instant)
        return BusinessDate(daysSince1970: Int((Double(seconds) / 86_400).rounded(.down)))
    }

    private func instant(of time: TimeOfDay, on date: BusinessDate) -> Date {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = timeZone
        let components = DateComponents(
            year: date.year, month: date.month, day: date.day, hour: time.hour, minute: time.minute)
        // A local time that daylight saving time skips becomes the time after the gap, so the result is never nil.
        return calendar.date(from: components)!
    }
}

extension CoordinatorSettings {
    /// The settings that a new run keeps until its end.
    func runSettings(partitionCount: Int, output: String) -> RunSettings {
        RunSettings(
            partitionCount: partitionCount, rowsPerPart: maximumRowsPerFile, uploadPieceBytes: uploadPartBytes,
            compression: compression, compressionLevel: compressionLevel, output: output, outputPrefix: outputPrefix,
            maxAttempts: maximumAttempts, retryBaseSeconds: retryBaseSeconds, retryMaxSeconds: retryMaximumSeconds,
            jobTimeoutSeconds: jobTimeoutSeconds)
    }
}

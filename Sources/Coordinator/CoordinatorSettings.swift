import Foundation
import Ledger
import JobModel
import Kafka
import ObjectStore
import Postgres
import Settings

/// All that a coordinator is told by its environment; `bda-coordinator --help` lists it.
struct CoordinatorSettings: Sendable {
    var clientID: String
    var environment: String
    var systems: [String]
    var timeZone: TimeZone
    var cutoffTime: LocalTime
    var deadline: LocalTime?
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

    /// What a changed column of a dataset means.
    enum SchemaDrift: String, CaseIterable, Sendable {
        case fail, warn
    }

    /// Hours and minutes of a day, of a text that the settings have checked.
    struct LocalTime: Sendable {
        let hour: Int
        let minute: Int

        init(_ text: String) {
            let fields = text.split(separator: ":").compactMap { Int($0) }
            hour = fields.first ?? 0
            minute = fields.count > 1 ? fields[1] : 0
        }
    }

    init(settings: inout SettingsReader) {
        clientID = settings.string("BDA_CLIENT_ID")
        environment = settings.string("BDA_ENVIRONMENT")
        systems = settings.list("BDA_SYSTEMS")
        timeZone = TimeZone(identifier: settings.string("BDA_TIME_ZONE")) ?? .gmt
        cutoffTime = LocalTime(settings.string("BDA_CUTOFF_TIME"))
        deadline = settings.optionalString("BDA_DEADLINE").map { LocalTime($0) }
        partitions = settings.integer("BDA_PARTITIONS")
        scriptsFolders = settings.string("BDA_SCRIPTS_DIR").split(separator: ":").map(String.init)
        maximumRowsPerFile = settings.integer("BDA_MAX_ROW_SIZE_FILE")
        uploadPartBytes = settings.integer("BDA_UPLOAD_PART_BYTES")
        compression = settings.choice("BDA_COMPRESSION", as: Compression.self)
        compressionLevel = settings.optionalInteger("BDA_COMPRESSION_LEVEL")
        outputPrefix = settings.string("BDA_OUTPUT_PREFIX")
        maximumAttempts = settings.integer("BDA_MAX_ATTEMPTS")
        retryBaseSeconds = settings.integer("BDA_RETRY_BASE_SECONDS")
        retryMaximumSeconds = settings.integer("BDA_RETRY_MAX_SECONDS")
        jobTimeoutSeconds = settings.integer("BDA_JOB_TIMEOUT_SECONDS")
        workerWaitSeconds = settings.integer("BDA_WORKER_WAIT_SECONDS")
        runTimeoutSeconds = settings.integer("BDA_RUN_TIMEOUT_SECONDS")
        schemaDrift = settings.choice("BDA_SCHEMA_DRIFT", as: SchemaDrift.self)
        historyDays = settings.integer("BDA_HISTORY_DAYS")
        retentionDays = settings.integer("BDA_RETENTION_DAYS")
        topics = Topics(prefix: settings.optionalString("BDA_TOPIC_PREFIX") ?? "")
        jobsTopicPartitions = settings.integer("BDA_JOBS_TOPIC_PARTITIONS")
        httpPort = settings.integer("BDA_HTTP_PORT")
        database = PostgresConfiguration(settings: &settings)
        if retryBaseSeconds > retryMaximumSeconds {
            settings.refuse(
                "BDA_RETRY_BASE_SECONDS",
                problem: "\(retryBaseSeconds) is more than BDA_RETRY_MAX_SECONDS, which is \(retryMaximumSeconds)")
        }
        for (name, value) in [("BDA_CLIENT_ID", clientID), ("BDA_OUTPUT_PREFIX", outputPrefix)]
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

    /// The instant up to which loads for the date count: the cut-off time of the day after it.
    func cutoff(of date: BusinessDate) -> Date { instant(of: cutoffTime, on: date.adding(days: 1)) }

    /// The instant by which the date's run should have ended; nil: nobody said.
    func deadline(of date: BusinessDate) -> Date? { deadline.map { instant(of: $0, on: date.adding(days: 1)) } }

    private func localDate(of instant: Date) -> BusinessDate {
        let seconds = Int(instant.timeIntervalSince1970.rounded(.down)) + timeZone.secondsFromGMT(for: instant)
        return BusinessDate(daysSince1970: Int((Double(seconds) / 86_400).rounded(.down)))
    }

    private func instant(of time: LocalTime, on date: BusinessDate) -> Date {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = timeZone
        let components = DateComponents(
            year: date.year, month: date.month, day: date.day, hour: time.hour, minute: time.minute)
        // A time that summer time skips is taken as the one after the gap; the calendar always finds one.
        return calendar.date(from: components)!
    }
}

extension CoordinatorSettings {
    /// What a run that begins now is fixed to.
    func runSettings(partitionCount: Int, output: String) -> RunSettings {
        RunSettings(
            partitionCount: partitionCount, rowsPerPart: maximumRowsPerFile, uploadPieceBytes: uploadPartBytes,
            compression: compression, compressionLevel: compressionLevel, output: output, outputPrefix: outputPrefix,
            maxAttempts: maximumAttempts, retryBaseSeconds: retryBaseSeconds, retryMaxSeconds: retryMaximumSeconds,
            jobTimeoutSeconds: jobTimeoutSeconds)
    }
}

package import Foundation
package import JobModel
package import Settings

/// The settings of the coordinator: what a run exports, and its limits.
package enum RunSetting {
    package static let systems = Setting(
        "BDA_SYSTEMS", .list, default: ["tripica", "bookkeeper"],
        "systems to export; oibl runs if all systems that it needs are selected")
    package static let timeZone = Setting(
        "BDA_TIME_ZONE", .timeZone, default: TimeZone(identifier: "Europe/Berlin")!,
        "time zone of business dates, cut-off time and deadline")
    package static let cutoffTime = Setting(
        "BDA_CUTOFF_TIME", .timeOfDay, default: TimeOfDay(hour: 5, minute: 0),
        "cut-off: local time of the day after the business date; data loaded later is left out")
    package static let deadline = Setting(
        "BDA_DEADLINE", .timeOfDay, whenUnset: "no deadline",
        "local time of the day after the business date; a run that is not complete by then is announced as late")
    package static let partitions = Setting(
        "BDA_PARTITIONS", .integer(1...1024), default: 16,
        "number of customer buckets of a new run; a partitioned segment has one job for each")
    package static let scriptsFolders = Setting(
        "BDA_SCRIPTS_DIR", .text, default: "scripts", "folders of the SQL scripts, separated by ':'")
    package static let maximumAttempts = Setting(
        "BDA_MAX_ATTEMPTS", .integer(1...100), default: 5, "number of attempts at a job before the run fails")
    package static let retryBaseSeconds = Setting(
        "BDA_RETRY_BASE_SECONDS", .integer(1...3600), default: 5,
        "pause before the second attempt at a job; it doubles with each further attempt")
    package static let retryMaximumSeconds = Setting(
        "BDA_RETRY_MAX_SECONDS", .integer(1...86_400), default: 300, "longest pause between two attempts at a job")
    package static let jobTimeoutSeconds = Setting(
        "BDA_JOB_TIMEOUT_SECONDS", .integer(1...86_400), default: 3600,
        "time limit of an attempt at a job; the attempt is then stopped, and the job is tried again")
    package static let workerWaitSeconds = Setting(
        "BDA_WORKER_WAIT_SECONDS", .integer(1...86_400), default: 600,
        "time after which a run without active workers fails")
    package static let runTimeoutSeconds = Setting(
        "BDA_RUN_TIMEOUT_SECONDS", .integer(1...604_800), default: 14_400, "time limit of a run, from its start")
    package static let schemaDrift = Setting(
        "BDA_SCHEMA_DRIFT", SettingFormat<SchemaDrift>.choice, default: .fail,
        "whether a run fails or warns if the columns of a dataset differ from those of the last published run")
    package static let historyDays = Setting(
        "BDA_HISTORY_DAYS", .integer(0...36_500), default: 0,
        "number of days that the history tables keep; 0: all")
    package static let retentionDays = Setting(
        "BDA_RETENTION_DAYS", .integer(0...36_500), default: 0,
        "number of days after which 'clean' removes exports and ledger rows; 0: never")

    package static let outputPrefix = Setting(
        "BDA_OUTPUT_PREFIX", .text, default: "billing", "first components of each object key")
    package static let maximumRowsPerFile = Setting(
        "BDA_MAX_ROW_SIZE_FILE", .integer(1...1_000_000_000), default: 1_000_000,
        "maximum number of rows of a CSV file; further rows go to another file")
    package static let compression = Setting(
        "BDA_COMPRESSION", SettingFormat<Compression>.choice, default: .none, "compression of the CSV files")
    package static let compressionLevel = Setting(
        "BDA_COMPRESSION_LEVEL", .integer(1...19), whenUnset: "6 for gzip, 3 for zstd",
        "1 is the fastest; the highest is 9 for gzip and 19 for zstd")
    package static let uploadPartBytes = Setting(
        "BDA_UPLOAD_PART_BYTES", .integer(5_242_880...1_073_741_824), default: 8_388_608,
        "size of the pieces of a multipart upload and of a buffer in memory; a worker slot has at most three buffers")
    package static let jobsTopicPartitions = Setting(
        "BDA_JOBS_TOPIC_PARTITIONS", .integer(1...1024), default: 64,
        "partitions of the jobs topic that 'setup' creates: at least four for each worker")

    static let section = SettingSection(
        "Run",
        [
            systems, timeZone, cutoffTime, deadline, partitions, scriptsFolders, maximumAttempts, retryBaseSeconds,
            retryMaximumSeconds, jobTimeoutSeconds, workerWaitSeconds, runTimeoutSeconds, schemaDrift, historyDays,
            retentionDays,
        ])
    static let files = SettingSection(
        "Files", [outputPrefix, maximumRowsPerFile, compression, compressionLevel, uploadPartBytes])
}

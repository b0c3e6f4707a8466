import Kafka
package import Logging
import ObjectStore
import Postgres
package import Settings

/// The settings that both programs read.
package enum ProgramSetting {
    package static let clientID = Setting(
        "BDA_CLIENT_ID", .name, "the utility whose billing data is exported; part of each object key and event")
    package static let deployment = Setting(
        "BDA_ENVIRONMENT", .oneOf(["dev", "stage", "prod"]),
        "deployment; part of each object key and event, so that deployments never mix")
    package static let topicPrefix = Setting(
        "BDA_TOPIC_PREFIX", .name, whenUnset: "no prefix",
        "prefix of the topic names: 'acme.' makes acme.bda.jobs.v1")
    package static let logLevel = Setting(
        "BDA_LOG_LEVEL", SettingFormat<Logger.Level>.choice, default: .info,
        "lowest level of the lines that are written to standard error")
    package static let logFormat = Setting(
        "BDA_LOG_FORMAT", SettingFormat<LogFormat>.choice, default: .text, "text lines, or one JSON object a line")
    package static let httpPort = Setting(
        "BDA_HTTP_PORT", .integer(0...65_535), default: 0,
        "TCP port of /livez, /readyz and /metrics; 0: no endpoint")

    static let identity = SettingSection("Identity", [clientID, deployment])
    static let topics = SettingSection("Topics", [topicPrefix, RunSetting.jobsTopicPartitions])
    static let operation = SettingSection("Logs and health", [logLevel, logFormat, httpPort])
}

extension SettingCatalogue {
    /// The settings of both programs. They share one environment, so each accepts the other's settings.
    package static let programs = SettingCatalogue(
        ProgramSetting.identity, RunSetting.section, RunSetting.files, WorkerSetting.section, PostgresSetting.section,
        KafkaSetting.section, ProgramSetting.topics, ObjectStoreSetting.section, ProgramSetting.operation)
}

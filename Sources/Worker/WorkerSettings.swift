import Foundation
import JobModel
import Kafka
import Logging
import ObjectStore
import Postgres
import ProgramSettings
import Settings
import Timing

struct WorkerSettings: Sendable {
    var clientID: String
    var environment: String
    var workerID: String
    var slots: Int
    var leaseSeconds: Int
    var drainSeconds: Int
    var topics: Topics
    var httpPort: Int
    var logLevel: Logger.Level
    var logFormat: LogFormat
    var database: PostgresConfiguration
    var output: ObjectStoreConfiguration
    var kafka: KafkaConfiguration

    /// The pause of a slot after the database was unavailable.
    let idleRetry = RetryPolicy(attempts: 1, base: .milliseconds(500), maximum: .seconds(15))

    /// Reads and checks all settings. Throws all problems at once.
    init(environment variables: [String: String]) throws {
        var reader = SettingsReader(environment: variables, catalogue: .programs)
        clientID = reader[ProgramSetting.clientID]
        environment = reader[ProgramSetting.deployment]
        workerID =
            reader[WorkerSetting.workerID]
            ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)"
        slots = reader[WorkerSetting.slots]
        leaseSeconds = reader[WorkerSetting.leaseSeconds]
        drainSeconds = reader[WorkerSetting.drainSeconds]
        topics = Topics(prefix: reader[ProgramSetting.topicPrefix] ?? "")
        httpPort = reader[ProgramSetting.httpPort]
        logLevel = reader[ProgramSetting.logLevel]
        logFormat = reader[ProgramSetting.logFormat]
        database = PostgresConfiguration(settings: &reader)
        output = ObjectStoreConfiguration(settings: &reader, environment: variables)
        kafka = KafkaConfiguration(settings: &reader, clientID: "bda-worker/\(workerID)")
        let connections = reader[PostgresSetting.maximumConnections]
        if slots + 2 > connections {
            reader.refuse(
                WorkerSetting.slots.name,
                problem:
                    "\(slots) slots need \(slots + 2) connections (one each, the ledger's and a snapshot keeper's), BDA_DB_MAX_CONNS allows \(connections)",
                hint: "raise BDA_DB_MAX_CONNS to \(slots + 2), or lower BDA_WORKER_SLOTS")
        }
        try reader.finish()
    }
}

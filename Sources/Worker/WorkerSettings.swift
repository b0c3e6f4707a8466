import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import Logging
import Settings
import Timing

/// All that a worker is told by its environment; `bda-worker --help` lists it.
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

    /// How long a slot waits after the database was not to be had.
    let idleRetry = RetryPolicy(attempts: 1, base: .milliseconds(500), maximum: .seconds(15))

    /// Reads and checks everything; throws all problems at once.
    init(environment variables: [String: String]) throws {
        var reader = SettingsReader(environment: variables)
        clientID = reader.string("BDA_CLIENT_ID")
        environment = reader.string("BDA_ENVIRONMENT")
        workerID =
            reader.optionalString("BDA_WORKER_ID")
            ?? "\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)"
        slots = reader.integer("BDA_WORKER_SLOTS")
        leaseSeconds = reader.integer("BDA_LEASE_SECONDS")
        drainSeconds = reader.integer("BDA_DRAIN_SECONDS")
        topics = Topics(prefix: reader.optionalString("BDA_TOPIC_PREFIX") ?? "")
        httpPort = reader.integer("BDA_HTTP_PORT")
        logLevel = reader.choice("BDA_LOG_LEVEL", as: Logger.Level.self)
        logFormat = reader.choice("BDA_LOG_FORMAT", as: LogFormat.self)
        database = PostgresConfiguration(settings: &reader)
        output = ObjectStoreConfiguration(settings: &reader, environment: variables)
        kafka = KafkaConfiguration(settings: &reader, clientID: "bda-worker/\(workerID)")
        let connections = reader.integer("BDA_DB_MAX_CONNS")
        if slots + 2 > connections {
            reader.refuse(
                "BDA_WORKER_SLOTS",
                problem:
                    "\(slots) slots need \(slots + 2) connections (one each, the ledger's and a snapshot keeper's), BDA_DB_MAX_CONNS allows \(connections)",
                hint: "raise BDA_DB_MAX_CONNS to \(slots + 2), or lower BDA_WORKER_SLOTS")
        }
        try reader.finish()
    }
}

/// The closed list of metadata keys, in the order in which a text line shows them: whose work it is, what it is about,
/// figures, and last what went wrong.
///
/// Whoever searches logs relies on these names, so a key has one meaning and, in JSON lines, one type.
package enum LogKey: String, Sendable, Hashable, CaseIterable {
    /// The run's id.
    case runID = "run_id"
    /// The job's id: run, segment and partition.
    case jobID = "job_id"
    /// `system.name` of a segment.
    case segment
    /// `system.name` of an archive segment, as BI knows it.
    case dataset
    /// Try at a job, from 1.
    case attempt
    /// `BDA_WORKER_ID`.
    case workerID = "worker_id"
    /// The day being reported.
    case businessDate = "business_date"
    /// `BDA_CLIENT_ID`.
    case clientID = "client_id"
    /// `BDA_ENVIRONMENT`.
    case environment
    /// A long-running part of the program, by its name in the service group.
    case service
    /// State of a run, a job or a connection.
    case state
    /// How an attempt ended.
    case outcome
    /// SQLSTATE, S3 code, librdkafka code or our own word for what happened.
    case code
    /// The version of a program or library.
    case version
    /// A signal's name.
    case signal
    /// Which part of a library a line comes from.
    case facility
    /// Host and port, or a URL without credentials.
    case address
    /// Kafka's topic.
    case topic
    /// Kafka's partition of a topic.
    case kafkaPartition = "kafka_partition"
    /// Offset in a partition of a topic.
    case offset
    /// A bucket of an object store.
    case bucket
    /// A schema of the warehouse.
    case schema
    /// A table of the warehouse.
    case table
    /// Process id of a PostgreSQL backend.
    case backendPID = "backend_pid"
    /// A PostgreSQL snapshot's name.
    case snapshotID = "snapshot_id"
    /// Data rows.
    case rows
    /// Bytes as stored.
    case bytes
    /// How many of what the message names.
    case count
    /// Wall time in milliseconds.
    case durationMs = "duration_ms"
    /// A wait or a limit in milliseconds.
    case delayMs = "delay_ms"
    /// The program's exit code.
    case exitCode = "exit_code"
    /// Why, in a few words.
    case reason
    /// What another program or library said, as it said it.
    case detail
    /// An error's description.
    case error
    /// What to do about it.
    case hint

    /// Whether JSON lines hold this key's value as a number.
    var isNumber: Bool {
        switch self {
        case .attempt, .kafkaPartition, .offset, .backendPID, .rows, .bytes, .count, .durationMs, .delayMs, .exitCode:
            true
        default: false
        }
    }
}

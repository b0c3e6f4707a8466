/// The closed list of metadata keys, in the order in which a text line shows them: context, subject, figures, error.
///
/// Log searches rely on these names, so a key has one meaning and, in JSON lines, one type.
package enum LogKey: String, Sendable, Hashable, CaseIterable {
    case runID = "run_id"
    /// Run, segment and partition.
    case jobID = "job_id"
    /// `system.name` of a segment.
    case segment
    /// `system.name` of an archive segment, which is the name of its dataset.
    case dataset
    /// The number of the attempt at a job, counted from 1.
    case attempt
    /// `BDA_WORKER_ID`.
    case workerID = "worker_id"
    /// `yyyy-mm-dd`.
    case businessDate = "business_date"
    /// `BDA_CLIENT_ID`.
    case clientID = "client_id"
    /// `BDA_ENVIRONMENT`.
    case environment
    /// A long-running part of the program, by its name in the service group.
    case service
    case state
    /// The outcome of an attempt, see `JobOutcome`.
    case outcome
    /// SQLSTATE, S3 code, librdkafka code, or a code of this program.
    case code
    /// The version of a program or of a library.
    case version
    /// `SIGTERM`, `SIGINT`, or the number.
    case signal
    /// The part of a library that a line comes from.
    case facility
    /// Host and port, or a URL without credentials.
    case address
    case topic
    /// The number of a partition of a Kafka topic.
    case kafkaPartition = "kafka_partition"
    /// An offset in a partition of a Kafka topic.
    case offset
    /// Process id of a PostgreSQL backend.
    case backendPID = "backend_pid"
    /// The name of an exported PostgreSQL snapshot.
    case snapshotID = "snapshot_id"
    case rows
    /// Bytes as stored.
    case bytes
    /// The number of things that the message names.
    case count
    /// Wall time in milliseconds.
    case durationMs = "duration_ms"
    /// A wait or a limit in milliseconds.
    case delayMs = "delay_ms"
    case exitCode = "exit_code"
    /// The cause, in a few words.
    case reason
    /// The text of another program or library, unchanged.
    case detail
    case error
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

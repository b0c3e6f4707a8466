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
    /// `tripica`, `bookkeeper`, `oibl`.
    case system
    /// The bucket of a run's data, from 0; not Kafka's partition.
    case partition
    /// Try at a job, from 1.
    case attempt
    /// `BDA_WORKER_ID`.
    case workerID = "worker_id"
    /// Slot of a worker, from 1.
    case slot
    /// Who holds a business date.
    case owner
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
    /// Status of an HTTP reply.
    case httpStatus = "http_status"
    /// A store's id of one request, for its operator.
    case requestID = "request_id"
    /// A setting's name.
    case setting
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
    /// Kafka's consumer group.
    case group
    /// CloudEvents type of an event.
    case eventType = "event_type"
    /// CloudEvents id of an event.
    case eventID = "event_id"
    /// A bucket of an object store.
    case bucket
    /// A key in an object store.
    case key
    /// Where a manifest or another result can be read.
    case uri
    /// A file of this machine.
    case file
    /// A line in a file, from 1.
    case line
    /// A schema of the warehouse.
    case schema
    /// A table of the warehouse.
    case table
    /// Process id of a PostgreSQL backend.
    case backendPID = "backend_pid"
    /// A PostgreSQL snapshot's name.
    case snapshotID = "snapshot_id"
    /// Number of a part, from 1.
    case part
    /// Data rows.
    case rows
    /// Bytes as stored.
    case bytes
    /// How many of what the message names.
    case count
    /// Of how many.
    case total
    /// Wall time in milliseconds.
    case durationMs = "duration_ms"
    /// A wait or a limit in milliseconds.
    case delayMs = "delay_ms"
    /// When it is going to be tried again, RFC 3339.
    case retryAt = "retry_at"
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
        case .partition, .attempt, .slot, .httpStatus, .kafkaPartition, .offset, .line, .backendPID, .part, .rows,
            .bytes, .count, .total, .durationMs, .delayMs, .exitCode:
            true
        default: false
        }
    }
}

/// The closed list of metrics. Dashboards and alerts rely on these names, their dimensions and their units. The help
/// texts below state their meaning.
package enum MetricName: String, Sendable, Hashable, CaseIterable {
    case jobs = "bda_jobs_total"
    case jobFailures = "bda_job_failures_total"
    case jobDuration = "bda_job_duration_seconds"
    case runningJobs = "bda_running_jobs"
    case slots = "bda_worker_slots"
    case claims = "bda_claims_total"
    case takeovers = "bda_takeovers_total"
    case lostLeases = "bda_lease_lost_total"
    case deadLetters = "bda_dead_letters_total"
    case rows = "bda_rows_total"
    case bytes = "bda_bytes_total"
    case parts = "bda_parts_total"

    case openJobs = "bda_open_jobs"
    case doneJobs = "bda_done_jobs"

    case kafkaLag = "bda_kafka_lag"
    case kafkaConnectedBrokers = "bda_kafka_connected_brokers"
    case kafkaAssignedPartitions = "bda_kafka_assigned_partitions"
    case kafkaRebalances = "bda_kafka_rebalances_total"
    case kafkaLostAssignments = "bda_kafka_lost_assignments_total"
    case kafkaRejoins = "bda_kafka_rejoins_total"
    case kafkaReadingBlocked = "bda_kafka_reading_blocked"
    case kafkaFailedCommits = "bda_kafka_failed_commits_total"
    case kafkaStaleAcknowledgements = "bda_kafka_stale_acknowledgements_total"

    case processMemory = "process_resident_memory_bytes"
    case processCPU = "process_cpu_seconds_total"
    case processFiles = "process_open_fds"
    case processStart = "process_start_time_seconds"

    enum Kind: String {
        /// It only grows.
        case counter
        /// It goes up and down, and may have no value.
        case gauge
        /// It counts values by size.
        case histogram
    }

    struct Definition {
        var kind: Kind
        var help: String
        /// The dimensions of every series of the metric, in the order in which they are written.
        var dimensions: [String] = []
        /// Upper bounds of a histogram's buckets.
        var buckets: [Double] = []
    }

    var definition: Definition {
        func counter(_ help: String, _ dimensions: String...) -> Definition {
            Definition(kind: .counter, help: help, dimensions: dimensions)
        }
        func gauge(_ help: String, _ dimensions: String...) -> Definition {
            Definition(kind: .gauge, help: help, dimensions: dimensions)
        }
        switch self {
        case .jobs: return counter("Attempts that ended, by outcome.", "outcome")
        case .jobFailures:
            return counter(
                "Attempts that ended without a result, by SQLSTATE, S3 code or a code of this program.", "code")
        case .jobDuration:
            return Definition(
                kind: .histogram, help: "Wall time of completed attempts.", dimensions: ["segment"],
                buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 1800, 3600])
        case .runningJobs: return gauge("Attempts under way in this worker.")
        case .slots: return gauge("Attempts that this worker can have under way.")
        case .claims: return counter("Attempts to claim a job, by their result.", "result")
        case .takeovers: return counter("Jobs taken over from a worker whose lease had run out.")
        case .lostLeases: return counter("Claims that were lost before the attempt ended.")
        case .deadLetters: return counter("Messages on the jobs topic that could not be decoded.")
        case .rows: return counter("Rows exported by completed attempts.", "dataset")
        case .bytes: return counter("Bytes of the parts of completed attempts, as stored.", "dataset")
        case .parts: return counter("Parts of completed attempts.", "dataset")
        case .openJobs: return gauge("Jobs of the run that are ready or running.")
        case .doneJobs: return gauge("Jobs of the run with a result.")
        case .kafkaLag: return gauge("Unread messages on the jobs topic; no value until a commit is known.")
        case .kafkaConnectedBrokers: return gauge("Brokers with an open connection to this process.")
        case .kafkaAssignedPartitions: return gauge("Partitions of the jobs topic that this worker reads.")
        case .kafkaRebalances: return counter("Times that this worker's partitions changed.")
        case .kafkaLostAssignments: return counter("Times that the consumer group removed this worker.")
        case .kafkaRejoins: return counter("Times that this worker joined its consumer group again to read its topic.")
        case .kafkaReadingBlocked: return gauge("1 while a missing topic or right keeps this worker from reading.")
        case .kafkaFailedCommits: return counter("Offset commits that failed; their messages are delivered again.")
        case .kafkaStaleAcknowledgements: return counter("Messages acknowledged after their partition was revoked.")
        case .processMemory: return gauge("Resident memory of the process.")
        case .processCPU: return counter("CPU time of the process.")
        case .processFiles: return gauge("Open files and sockets of the process.")
        case .processStart: return gauge("Start time of the process in seconds since 1970.")
        }
    }
}

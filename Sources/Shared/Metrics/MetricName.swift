/// The closed list of metrics. Dashboards and alerts rely on these names, their dimensions and their units; what each
/// means is its help text, below.
package enum MetricName: String, Sendable, Hashable, CaseIterable {
    case buildInfo = "bda_build_info"

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
    case snapshotAge = "bda_snapshot_age_seconds"

    case kafkaLag = "bda_kafka_lag"
    case kafkaConnectedBrokers = "bda_kafka_connected_brokers"
    case kafkaAssignedPartitions = "bda_kafka_assigned_partitions"
    case kafkaRebalances = "bda_kafka_rebalances_total"
    case kafkaLostAssignments = "bda_kafka_lost_assignments_total"
    case kafkaRejoins = "bda_kafka_rejoins_total"
    case kafkaReadingBlocked = "bda_kafka_reading_blocked"
    case kafkaFailedCommits = "bda_kafka_failed_commits_total"
    case kafkaStaleAcknowledgements = "bda_kafka_stale_acknowledgements_total"

    case storeRetries = "bda_store_retries_total"

    case processMemory = "process_resident_memory_bytes"
    case processCPU = "process_cpu_seconds_total"
    case processFiles = "process_open_fds"
    case processStart = "process_start_time_seconds"

    /// What a metric's value can do.
    enum Kind: String {
        /// Only grows.
        case counter
        /// Goes up and down, or is not known.
        case gauge
        /// Counts values by size.
        case histogram
    }

    struct Definition {
        var kind: Kind
        var help: String
        /// What every series of the metric has, in the order in which they are written.
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
        case .buildInfo: return gauge("What runs here; always 1.", "program", "version")
        case .jobs: return counter("Attempts that ended, by outcome.", "outcome")
        case .jobFailures:
            return counter("Attempts that ended without a result, by SQLSTATE, S3 code or our own word.", "code")
        case .jobDuration:
            return Definition(
                kind: .histogram, help: "Wall time of completed attempts.", dimensions: ["segment"],
                buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 1800, 3600])
        case .runningJobs: return gauge("Attempts under way in this worker.")
        case .slots: return gauge("Attempts that this worker can have under way.")
        case .claims: return counter("Claims that were asked for, by what came of them.", "result")
        case .takeovers: return counter("Jobs taken over from a worker whose lease had run out.")
        case .lostLeases: return counter("Claims that were another's before the attempt ended.")
        case .deadLetters: return counter("Messages that could not be read.")
        case .rows: return counter("Rows exported by completed attempts.", "dataset")
        case .bytes: return counter("Bytes of the parts of completed attempts, as stored.", "dataset")
        case .parts: return counter("Parts of completed attempts.", "dataset")
        case .openJobs: return gauge("Jobs of the run that are ready or running.")
        case .doneJobs: return gauge("Jobs of the run that have their result.")
        case .snapshotAge: return gauge("Age of the snapshot that keeps the warehouse from cleaning up.")
        case .kafkaLag: return gauge("Job messages that wait; no value until a commit is known.")
        case .kafkaConnectedBrokers: return gauge("Brokers that this process is connected to.")
        case .kafkaAssignedPartitions: return gauge("Partitions of the jobs topic that this worker reads.")
        case .kafkaRebalances: return counter("Times that this worker's partitions changed.")
        case .kafkaLostAssignments: return counter("Times that the group had taken this worker for dead.")
        case .kafkaRejoins: return counter("Times that this worker joined its group again to read its topic.")
        case .kafkaReadingBlocked: return gauge("1 while a missing topic or right keeps this worker from reading.")
        case .kafkaFailedCommits: return counter("Offset commits that failed; their messages come again.")
        case .kafkaStaleAcknowledgements: return counter("Messages settled after their partition was another's.")
        case .storeRetries: return counter("Requests to the object store that were sent again, by error.", "code")
        case .processMemory: return gauge("Memory of the process that is in RAM.")
        case .processCPU: return counter("Time that the process computed.")
        case .processFiles: return gauge("Files and sockets that the process has open.")
        case .processStart: return gauge("When the process started, in seconds since 1970.")
        }
    }
}

package import JobModel
import Postgres
package import Scripts

/// One run, as its row in the ledger says. What decides bytes (partition count, rows and bytes of a part, compression)
/// is here and not in anybody's settings.
package struct RunRecord: Sendable, Hashable {
    /// The run.
    package var runID: RunID
    /// `BDA_CLIENT_ID`.
    package var clientID: String
    /// `BDA_ENVIRONMENT`.
    package var environment: String
    /// The day being reported.
    package var businessDate: BusinessDate
    /// RFC 3339, UTC.
    package var cutoff: String
    /// The systems that run.
    package var systems: [String]
    /// Whether all configured systems run; a run of fewer does not move `latest`.
    package var isCompleteSet: Bool
    /// N, the number of customer buckets.
    package var partitionCount: Int
    /// At most this many rows a part.
    package var rowsPerPart: Int
    /// Bytes of one part of a multipart upload.
    package var uploadPartBytes: Int
    /// How the parts are compressed.
    package var compression: Compression
    /// The method's own when nil.
    package var compressionLevel: Int?
    /// What `BDA_OUTPUT` was.
    package var output: String
    /// What every key begins with.
    package var outputPrefix: String
    /// Attempts in all.
    package var maxAttempts: Int
    /// The wait after the first failed attempt.
    package var retryBaseSeconds: Int
    /// The longest wait between two attempts.
    package var retryMaxSeconds: Int
    /// The longest an attempt may take.
    package var jobTimeoutSeconds: Int
    /// Its state.
    package var state: RunState
    /// Grows with each coordinator that takes the run over.
    package var ownerNumber: Int
    /// Host and process of the coordinator.
    package var owner: String
    /// The snapshot that vault-reading jobs import.
    package var snapshotID: String?
    /// Why.
    package var reason: String?
    /// What to do about it.
    package var hint: String?
    /// As the coordinator ended.
    package var exitCode: Int?
    /// Where the manifest lies.
    package var manifestURI: String?
    /// Of the manifest's bytes, hexadecimal.
    package var manifestSHA256: String?
    /// The run of the same date whose rows this one replaces.
    package var replacesRunID: RunID?
    /// RFC 3339, UTC.
    package var startedAt: String
    /// When all jobs were written, RFC 3339.
    package var graphAt: String?
    /// When it ended, RFC 3339.
    package var endedAt: String?
    /// Since when its coordinator has had no answer from Kafka, RFC 3339; nil while Kafka is there.
    package var kafkaUnreachableSince: String?

    /// A run that is about to begin.
    package init(
        runID: RunID, clientID: String, environment: String, businessDate: BusinessDate, cutoff: String,
        systems: [String], isCompleteSet: Bool, partitionCount: Int, rowsPerPart: Int, uploadPartBytes: Int,
        compression: Compression, compressionLevel: Int?, output: String, outputPrefix: String, maxAttempts: Int,
        retryBaseSeconds: Int, retryMaxSeconds: Int, jobTimeoutSeconds: Int, owner: String, snapshotID: String?
    ) {
        self.runID = runID
        self.clientID = clientID
        self.environment = environment
        self.businessDate = businessDate
        self.cutoff = cutoff
        self.systems = systems
        self.isCompleteSet = isCompleteSet
        self.partitionCount = partitionCount
        self.rowsPerPart = rowsPerPart
        self.uploadPartBytes = uploadPartBytes
        self.compression = compression
        self.compressionLevel = compressionLevel
        self.output = output
        self.outputPrefix = outputPrefix
        self.maxAttempts = maxAttempts
        self.retryBaseSeconds = retryBaseSeconds
        self.retryMaxSeconds = retryMaxSeconds
        self.jobTimeoutSeconds = jobTimeoutSeconds
        self.owner = owner
        self.snapshotID = snapshotID
        state = .running
        ownerNumber = 1
        startedAt = ""
    }

    /// What events and manifests say about the run.
    package var context: RunContext {
        RunContext(runID: runID, businessDate: businessDate, clientID: clientID, environment: environment)
    }

    /// Where the run's objects lie.
    package var layout: ObjectLayout {
        ObjectLayout(
            prefix: outputPrefix, clientID: clientID, environment: environment, businessDate: businessDate, runID: runID
        )
    }

    /// The parameters of the run's scripts, without those of a job.
    package var parameters: ScriptParameters {
        ScriptParameters(
            runID: runID, clientID: clientID, environment: environment, businessDate: businessDate, cutoff: cutoff,
            partitionCount: partitionCount, startedAt: startedAt)
    }

    static let columns = """
        run_id, client_id, environment, business_date::text, \(timestamp("cutoff")), array_to_string(systems, ',') AS systems,
        is_complete_set, partition_count, rows_per_part, upload_part_bytes, compression, compression_level, output,
        output_prefix, max_attempts, retry_base_seconds, retry_max_seconds, job_timeout_seconds, state, owner_number, owner,
        snapshot_id, reason, hint, exit_code, manifest_uri, manifest_sha256, replaces_run_id, \(timestamp("started_at")),
        \(timestamp("graph_at")), \(timestamp("ended_at")), \(timestamp("kafka_unreachable_since"))
        """

    static func timestamp(_ column: String) -> String {
        "to_char(\(column) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS \(column)"
    }

    init(_ record: PostgresRecord) throws {
        runID = try RunID(record.text("run_id"))
        clientID = try record.text("client_id")
        environment = try record.text("environment")
        businessDate = try BusinessDate(record.text("business_date"))
        cutoff = try record.text("cutoff")
        systems = try record.text("systems").split(separator: ",").map(String.init)
        isCompleteSet = try record.boolean("is_complete_set")
        partitionCount = try record.integer("partition_count")
        rowsPerPart = try record.integer("rows_per_part")
        uploadPartBytes = try record.integer("upload_part_bytes")
        compression = Compression(rawValue: try record.text("compression")) ?? .none
        compressionLevel = record.optional("compression_level").flatMap { Int($0) }
        output = try record.text("output")
        outputPrefix = try record.text("output_prefix")
        maxAttempts = try record.integer("max_attempts")
        retryBaseSeconds = try record.integer("retry_base_seconds")
        retryMaxSeconds = try record.integer("retry_max_seconds")
        jobTimeoutSeconds = try record.integer("job_timeout_seconds")
        state = RunState(rawValue: try record.text("state"))!
        ownerNumber = try record.integer("owner_number")
        owner = try record.text("owner")
        snapshotID = record.optional("snapshot_id")
        reason = record.optional("reason")
        hint = record.optional("hint")
        exitCode = record.optional("exit_code").flatMap { Int($0) }
        manifestURI = record.optional("manifest_uri")
        manifestSHA256 = record.optional("manifest_sha256")
        replacesRunID = try record.optional("replaces_run_id").map { try RunID($0) }
        startedAt = try record.text("started_at")
        graphAt = record.optional("graph_at")
        endedAt = record.optional("ended_at")
        kafkaUnreachableSince = record.optional("kafka_unreachable_since")
    }
}

package import JobModel
package import Postgres
package import Scripts

/// The row of one run in the ledger.
@dynamicMemberLookup
package struct RunRecord: Sendable, Hashable {
    package var runID: RunID
    /// `BDA_CLIENT_ID`.
    package var clientID: String
    /// `BDA_ENVIRONMENT`.
    package var environment: String
    /// The day whose data are exported.
    package var businessDate: BusinessDate
    /// RFC 3339, UTC.
    package var cutoff: String
    package var systems: [String]
    /// Whether all configured systems run; a run of fewer systems does not move `latest`.
    package var isCompleteSet: Bool
    /// Can be read as properties of the run: `run.partitionCount`.
    package let settings: RunSettings
    package var state: RunState
    /// Incremented by each coordinator that takes the run over.
    package var ownerNumber: Int
    /// Host and process of the coordinator.
    package var owner: String
    /// The snapshot that vault-reading jobs import.
    package var snapshotID: String?
    package var reason: String?
    package var hint: String?
    /// The exit code of the coordinator.
    package var exitCode: Int?
    package var manifestURI: String?
    /// The digest of the manifest's bytes, hexadecimal.
    package var manifestSHA256: String?
    /// The run of the same date whose rows this one replaces.
    package var replacesRunID: RunID?
    /// RFC 3339, UTC.
    package var startedAt: String
    /// The time at which all jobs were written, RFC 3339.
    package var graphAt: String?
    /// RFC 3339.
    package var endedAt: String?
    /// The time since which the coordinator cannot reach Kafka, RFC 3339; nil while it can.
    package var kafkaUnreachableSince: String?
    /// What blocks the progress of the run, such as a reader of its views; nil if nothing does.
    package var waitingFor: String?

    /// A run that is about to begin.
    package init(
        runID: RunID, clientID: String, environment: String, businessDate: BusinessDate, cutoff: String,
        systems: [String], isCompleteSet: Bool, settings: RunSettings, owner: String, snapshotID: String?
    ) {
        self.runID = runID
        self.clientID = clientID
        self.environment = environment
        self.businessDate = businessDate
        self.cutoff = cutoff
        self.systems = systems
        self.isCompleteSet = isCompleteSet
        self.settings = settings
        self.owner = owner
        self.snapshotID = snapshotID
        state = .running
        ownerNumber = 1
        startedAt = ""
    }

    package subscript<Value>(dynamicMember path: KeyPath<RunSettings, Value>) -> Value { settings[keyPath: path] }

    /// The run in events and manifests.
    package var context: RunContext {
        RunContext(runID: runID, businessDate: businessDate, clientID: clientID, environment: environment)
    }

    /// The meaning of SQLSTATE BDA02 or BDA03 for this run; nil for any other error.
    package func ownershipError(_ error: PostgresError) -> (any Error)? {
        switch error.sqlState {
        case "BDA02": OwnershipLost()
        case "BDA03": RunCancelled(runID: runID)
        default: nil
        }
    }

    /// The keys of the run's objects.
    package var layout: ObjectLayout {
        ObjectLayout(
            prefix: settings.outputPrefix, clientID: clientID, environment: environment, businessDate: businessDate,
            runID: runID
        )
    }

    /// The parameters of the run's scripts, without those of a job.
    package var parameters: ScriptParameters {
        ScriptParameters(
            runID: runID, clientID: clientID, environment: environment, businessDate: businessDate, cutoff: cutoff,
            partitionCount: settings.partitionCount, startedAt: startedAt)
    }

    static let columns = """
        run_id, client_id, environment, business_date::text, \(timestamp("cutoff")), array_to_string(systems, ',') AS systems,
        is_complete_set, settings::text, state, owner_number, owner,
        snapshot_id, reason, hint, exit_code, manifest_uri, manifest_sha256, replaces_run_id, \(timestamp("started_at")),
        \(timestamp("graph_at")), \(timestamp("ended_at")), \(timestamp("kafka_unreachable_since")), waiting_for
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
        settings = try WireFormat.decode(RunSettings.self, from: record.text("settings").utf8)
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
        waitingFor = record.optional("waiting_for")
    }
}

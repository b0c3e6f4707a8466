import BlockingIO
import Foundation
import Glibc
import Kafka
import Postgres
import ServiceLifecycle
import Settings
import Testing
import TestSupport

/// What all scenarios share: a database to copy, with the sample warehouse, the ledger and the locks of `Moment`; topics;
/// and what an undisturbed run of it exports.
final class Laboratory: Sendable {
    /// The database to copy.
    let database: String
    /// The topics' prefix, so that each scenario finds messages of the ones before it.
    let topicPrefix: String
    private let references = Mutex<[Int: Task<PublishedExport, any Error>]>([:])

    init(database: String, topicPrefix: String) {
        self.database = database
        self.topicPrefix = topicPrefix
    }

    /// The suite's; nil outside of it.
    @TaskLocal static var current: Laboratory?

    /// What every fleet of it is told.
    var settings: [String: String] {
        [
            "BDA_TOPIC_PREFIX": topicPrefix, "BDA_MAX_ROW_SIZE_FILE": "150", "BDA_LEASE_SECONDS": "3",
            "BDA_RETRY_BASE_SECONDS": "1", "BDA_RETRY_MAX_SECONDS": "2", "BDA_DRAIN_SECONDS": "2",
            "BDA_WORKER_WAIT_SECONDS": "60", "BDA_DB_CONNECT_TIMEOUT_SECONDS": "5",
            "BDA_KAFKA_SESSION_TIMEOUT_MS": "3000", "BDA_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
        ]
    }

    /// What an undisturbed run exports with a number of partitions; run once.
    func reference(partitions: Int) async throws -> PublishedExport {
        let task = references.withLock { references in
            if let known = references[partitions] { return known }
            let task = Task { try await undisturbed(partitions: partitions) }
            references[partitions] = task
            return task
        }
        return try await task.value
    }

    private func undisturbed(partitions: Int) async throws -> PublishedExport {
        let found = Mutex<PublishedExport?>(nil)
        try await withFleet(partitions: partitions) { fleet in
            let worker = try fleet.worker("quiet")
            try await fleet.run().succeeds()
            let export = try #require(try await PublishedExport.latest(in: fleet.store))
            found.withLock { $0 = export }
            try await fleet.drain(worker)
        }
        return try #require(found.withLock { $0 })
    }

    /// A fleet on a copy of the database.
    func withFleet(partitions: Int, _ body: (Fleet) async throws -> Void) async throws {
        var settings = settings
        settings["BDA_PARTITIONS"] = "\(partitions)"
        try await SampleWarehouse.$database.withValue(database) {
            try await Fleet.with(settings, isSetUp: false, scripts: Self.scripts, body)
        }
    }

    /// Two datasets whose jobs of the first two partitions wait before their 60th row while a test holds the lock of
    /// `Moment.vaultJobs` or `.runJobs`.
    static let scripts = [
        "archive/tripica_gated_vault.sql": gated(
            "gated_vault", header: "-- @reads   vault", lock: .vaultJobs,
            source: """
                SELECT h.charge_no FROM datalake_vault.hub_charge AS h
                WHERE bda.bucket(h.charge_hk, :'partition_count'::integer) = :'partition'::integer
                """),
        "archive/tripica_gated_run.sql": gated(
            "gated_run", header: "-- @needs   tripica.data_charges\n-- @reads   run", lock: .runJobs,
            source: "SELECT charge_no FROM :\"work\".data_charges WHERE partition_no = :'partition'::integer"),
    ]

    private static func gated(_ name: String, header: String, lock: Moment, source: String) -> String {
        """
        -- A dataset that waits in the middle.
        -- @segment tripica.\(name)
        \(header)
        -- @key     charge_no
        SELECT charge_no, :'business_date'::date AS business_date, repeat(charge_no, 40) AS filling,
               CASE WHEN :'partition'::integer < 2 AND row_number() OVER (ORDER BY charge_no COLLATE "C") = 60
                    THEN public.wait_at_gate(\(lock.lock) + 0 * length(charge_no))::text END AS gate
        FROM (\(source)) AS c
        ORDER BY charge_no COLLATE "C"

        """
    }

    /// Makes a coordinator wait for the lock of a moment before it records the step.
    static let locks = """
        CREATE FUNCTION bda.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.graph_at IS NULL AND NEW.graph_at IS NOT NULL THEN
                PERFORM pg_advisory_xact_lock_shared(\(Moment.graph.lock));
            ELSIF NEW.state <> OLD.state THEN
                PERFORM pg_advisory_xact_lock_shared(CASE NEW.state
                    WHEN 'verified' THEN \(Moment.verified.lock) WHEN 'published' THEN \(Moment.published.lock)
                    WHEN 'announced' THEN \(Moment.announced.lock) WHEN 'history' THEN \(Moment.history.lock)
                    WHEN 'closed' THEN \(Moment.closed.lock) ELSE 0 END);
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER wait_for_test BEFORE UPDATE ON bda.run FOR EACH ROW EXECUTE FUNCTION bda.wait_for_test();
        """
}

/// Makes the laboratory for a suite. To be listed after `sampleWarehouse`.
struct FaultLaboratory: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let sample = try #require(SampleWarehouse.database)
        let prefix = "\(TestKafka.uniqueName("faults"))."
        try await TestPostgres.withDatabase(copyOf: sample) { role, administrator in
            let settings = [
                "BDA_DB_NAME": role.database, "BDA_TOPIC_PREFIX": prefix,
            ]
            try await Fleet.with(settings, sample: false, isSetUp: true) { _ in }
            let session = try await PostgresSession.connect(administrator, purpose: "laboratory")
            try await session.execute(Laboratory.locks, action: "make the locks")
            await session.close()
            let laboratory = Laboratory(database: administrator.database, topicPrefix: prefix)
            try await Laboratory.$current.withValue(laboratory, operation: function)
        }
    }
}

extension Trait where Self == FaultLaboratory {
    /// The suite's scenarios find what they share.
    static var faultLaboratory: Self { Self() }
}

/// A server of the test's own that `scripts/dev/keep-up.sh` starts again when it has ended.
enum KeptServer: String, Sendable {
    case postgres = "BDA_TEST_POSTGRES_PID"
    case kafka = "BDA_TEST_KAFKA_PID"

    private var file: String {
        get throws { try #require(ProcessInfo.processInfo.environment[rawValue], "\(rawValue) is not set") }
    }

    private var processID: pid_t? {
        get throws {
            guard let text = FileManager.default.contents(atPath: try file) else { return nil }
            return pid_t(String(decoding: text, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    /// Ends the server with a signal, and returns when its process is gone. It stays down until `allowStart`.
    func end(by signal: Int32) async throws {
        let former = try #require(try processID, "\(self) is not running")
        try Data().write(to: URL(fileURLWithPath: "\(try file).hold"))
        Glibc.kill(former, signal)
        let deadline = ContinuousClock.now + .seconds(30)
        while Glibc.kill(former, 0) == 0, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Returns when an ended server was started again, not when it answers.
    func allowStart() async throws {
        let former = try processID
        try FileManager.default.removeItem(atPath: "\(try file).hold")
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            if let now = try processID, now != former { return }
            try #require(ContinuousClock.now < deadline, "\(self) was not started again")
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Ends the server with a signal, keeps it down for a while, and returns when it was started again, not when it answers.
    func restart(by signal: Int32, downFor time: Duration) async throws {
        try await end(by: signal)
        try await Task.sleep(for: time)
        try await allowStart()
    }
}

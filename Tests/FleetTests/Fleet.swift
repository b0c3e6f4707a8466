import BlockingIO
import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import Logging
import ServiceLifecycle
import Settings
import Testing
import TestSupport

/// One client's installation: a database of its own with ledger and topics, a prefix of its own in the bucket, and the
/// programs that a test starts, all of which end with the test.
struct Fleet: Sendable {
    /// The repository of this file.
    static let repository =
        URL(fileURLWithPath: #filePath).appending(path: "../../..").standardizedFileURL.path
    /// The scripts that are shipped.
    static let scripts = "\(repository)/scripts"

    /// What the programs find in their environment, without what a test sets.
    let environment: [String: String]
    /// A superuser's session in the database.
    let session: PostgresSession
    /// Where programs write what they say, and tests their scripts.
    let folder: TemporaryFolder
    /// The bucket.
    let store: any ObjectStore
    /// The way to the brokers.
    let kafka: KafkaConfiguration
    let administrator: PostgresConfiguration
    /// The documented role, which the programs log in as.
    let role: PostgresConfiguration
    private let started = Mutex<[Program]>([])
    private let lastNumber = Mutex(0)
    /// What nobody may see of all programs' settings.
    private let secrets = Mutex<Set<String>>([])

    private static let variables = ProcessInfo.processInfo.environment
    private static let programs = variables["BDA_TEST_BIN"]

    /// Whether everything is there that these tests need; what is required and missing fails them instead.
    static let isAvailable =
        programs != nil && TestPostgres.isAvailable && TestObjectStore.runs(.s3)
    static let skipReason: Comment =
        "scripts/dev/test.sh starts the servers and sets BDA_TEST_BIN to the programs' folder"

    /// This process's environment without settings of ours.
    static let inherited = variables.filter { name, _ in !name.hasPrefix("BDA_") && !name.hasPrefix("AWS_") }

    /// Runs a test on a new installation, set up with `settings`, over a copy of the sample warehouse or an empty database.
    /// `kafka` is another way to the brokers than the one without encryption.
    static func with(
        _ settings: [String: String] = [:], sample: Bool = true, isSetUp: Bool = true,
        scripts: [String: String] = [:], kafka listener: KafkaConfiguration? = nil, _ body: (Fleet) async throws -> Void
    ) async throws {
        let template: String? = sample ? try #require(SampleWarehouse.database) as String : nil
        try await TestPostgres.withDatabase(copyOf: template) { role, administrator in
            let session = try await PostgresSession.connect(administrator, purpose: "fleet test")
            let folder = try TemporaryFolder()
            for (name, text) in scripts { try folder.write(text, to: "scripts/\(name)") }
            let place = try TestObjectStore(.s3)
            let name = TestKafka.uniqueName("fleet")
            var environment = inherited.merging(place.environment) { _, new in new }
            environment.merge([
                "BDA_CLIENT_ID": "acme", "BDA_ENVIRONMENT": "dev",
                "BDA_DB_HOST": "127.0.0.1", "BDA_DB_PORT": "\(role.port)", "BDA_DB_NAME": role.database,
                "BDA_DB_USER": role.user, "BDA_DB_PASSWORD": try role.password?.reveal() ?? "",
                "BDA_SCRIPTS_DIR": scripts.isEmpty ? Self.scripts : "\(Self.scripts):\(folder.path)/scripts",
                "BDA_TOPIC_PREFIX": "\(name).", "BDA_JOBS_TOPIC_PARTITIONS": "8", "BDA_PARTITIONS": "4",
                "BDA_RETRY_BASE_SECONDS": "1", "BDA_WORKER_WAIT_SECONDS": "60", "BDA_LOG_LEVEL": "debug",
            ]) { _, new in new }
            environment.merge(settings) { _, new in new }
            let mock = TestKafka.isRealExpected || listener != nil ? nil : try await mockCluster(prefix: "\(name).")
            let kafka =
                if let listener { listener } else if let mock { await mock.configuration(clientID: "test") } else {
                    try TestKafka.realConfiguration()
                }
            environment.merge(kafka.environment) { _, new in new }
            let fleet = Fleet(
                environment: environment, session: session, folder: folder, store: try place.open(), kafka: kafka,
                administrator: administrator, role: role)
            do {
                if isSetUp {
                    // The mock cluster has its topics from the start and no administration.
                    let brokers: [String: String] = mock == nil ? [:] : ["BDA_KAFKA_BOOTSTRAP_SERVERS": ""]
                    try await fleet.coordinator(["setup"], settings: brokers).succeeds()
                }
                try await body(fleet)
            } catch {
                await fleet.end()
                throw error
            }
            await fleet.end()
            fleet.expectNoSecrets()
            await mock?.close()
            try await place.remove()
            folder.remove()
        }
    }

    private static func mockCluster(prefix: String) async throws -> KafkaMockCluster {
        let topics = Topics(prefix: prefix)
        return try await KafkaMockCluster.make(
            topics: [topics.jobs, topics.events, topics.runs, topics.deadLetters].map {
                KafkaTopicDefinition(name: $0, partitions: $0 == topics.runs ? 1 : 4)
            }, logger: TestKafka.logger)
    }

    /// Kills what still runs, and waits until it is gone.
    private func end() async {
        let programs = started.withLock { $0 }
        for program in programs { program.kill() }
        for program in programs { _ = try? await program.ended(within: .seconds(10)) }
        await session.close()
    }

    /// No program may have written a secret down.
    private func expectNoSecrets() {
        #expect(!secrets.withLock { $0.isEmpty } || started.withLock { $0.isEmpty })
        for program in started.withLock({ $0 }) {
            expectNoSecret(in: program.outputText + program.errorText, "what \(program.name) wrote")
        }
    }

    /// Expects none of the secrets that programs were given so far.
    func expectNoSecret(in text: String, _ place: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let found = secrets.withLock { $0 }.contains { text.contains($0) }
        #expect(!found, "a secret stands in \(place)", sourceLocation: sourceLocation)
    }

    private static let secretSettings = [
        "BDA_DB_PASSWORD", "BDA_KAFKA_SASL_PASSWORD", "BDA_KAFKA_SSL_KEY_PASSWORD", "AWS_SECRET_ACCESS_KEY",
    ]

    // MARK: Programs

    /// Starts `bda-coordinator` with some settings changed; an empty one is not set.
    func coordinator(
        _ arguments: [String], settings: [String: String] = [:], programs folder: String? = nil
    ) throws -> Program {
        try start("bda-coordinator", arguments, name: arguments.first ?? "coordinator", settings, in: folder)
    }

    /// Makes a folder with `bda-coordinator` and a `bda-worker` that is this shell script.
    func programs(worker script: String) throws -> String {
        let source = try #require(Self.programs, "BDA_TEST_BIN is not set")
        let target = "\(folder.path)/programs"
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(source)/bda-coordinator", toPath: "\(target)/bda-coordinator")
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(fileURLWithPath: "\(target)/bda-worker"))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(target)/bda-worker")
        return target
    }

    /// Starts `bda-coordinator run` for the sample's date.
    func run(_ arguments: String..., settings: [String: String] = [:]) throws -> Program {
        try coordinator(["run", "--date", SampleWarehouse.date] + arguments, settings: settings)
    }

    /// Starts `bda-worker` under the name.
    func worker(_ name: String, settings: [String: String] = [:]) throws -> Program {
        try start("bda-worker", [], name: name, settings.merging(["BDA_WORKER_ID": name]) { _, new in new })
    }

    /// Asks workers to drain; each must then end with exit code 0.
    func drain(_ workers: Program...) async throws {
        for worker in workers { worker.signal(SIGTERM) }
        for worker in workers { try await worker.succeeds(within: .seconds(40)) }
    }

    /// Starts a program that is not ours, with psql's way to the database.
    func tool(_ command: [String], name: String) throws -> Program {
        try start(
            "/usr/bin/env", command, name: name,
            environment: Self.inherited.merging(administrator.libpqEnvironment) { _, new in new })
    }

    private func start(
        _ program: String, _ arguments: [String], name: String, _ settings: [String: String], in other: String? = nil
    ) throws -> Program {
        let folder = try other ?? #require(Self.programs, "BDA_TEST_BIN is not set")
        let environment = environment.merging(settings) { _, new in new }.filter { !$0.value.isEmpty }
        let files = Self.secretSettings.compactMap { environment["\($0)_FILE"] }
        let filed = files.compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }
            .map { $0.trimmingCharacters(in: .newlines) }
        secrets.withLock { $0.formUnion(Self.secretSettings.compactMap { environment[$0] } + filed) }
        return try start("\(folder)/\(program)", arguments, name: name, environment: environment)
    }

    private func start(
        _ path: String, _ arguments: [String], name: String, environment: [String: String]
    ) throws -> Program {
        // Counted apart from `started`: programs that are started at once must not share their files.
        let number = lastNumber.withLock { number in
            defer { number += 1 }
            return number
        }
        let program = try Program(
            path, arguments, environment: environment, name: "\(name)-\(number)", in: self.folder)
        started.withLock { $0.append(program) }
        return program
    }

    // MARK: Waiting

    /// Waits until a query in the database says true.
    func until(
        _ condition: String, within limit: Duration = .seconds(60), _ programs: Program...
    ) async throws {
        try await until("\(condition)", within: limit, programs) {
            try await session.execute("SELECT (\(condition))", action: "look").firstValue == "t"
        }
    }

    /// Waits until something is so; the programs' words are part of the error when it is not in time.
    func until(
        _ what: String, within limit: Duration = .seconds(60), _ programs: [Program],
        _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                throw Overdue(
                    what: "it did not come true: \(what)", limit: limit,
                    context: programs.map(\.report.rawValue).joined(separator: "\n"))
            }
            try await Task.sleep(for: .milliseconds(25))
        }
    }

    // MARK: Gate

    /// A dataset whose jobs wait before their 60th row while a test holds the gate. Reads the vault, so that the run's
    /// snapshot is needed meanwhile, or the run's tables.
    static func gatedScripts(reads: String = "run") -> [String: String] {
        let source =
            reads == "run"
            ? "SELECT charge_no FROM :\"work\".data_charges WHERE partition_no = :'partition'::integer"
            : """
            SELECT h.charge_no FROM datalake_vault.hub_charge AS h
            WHERE bda.bucket(h.charge_hk, :'partition_count'::integer) = :'partition'::integer
            """
        return [
            "archive/tripica_gated.sql": """
            -- A dataset that waits in the middle.
            -- @segment tripica.gated
            \(reads == "run" ? "-- @needs   tripica.data_charges\n" : "")-- @reads   \(reads)
            -- @key     charge_no
            SELECT charge_no, :'business_date'::date AS business_date, repeat(charge_no, 40) AS filling,
                   CASE WHEN row_number() OVER (ORDER BY charge_no COLLATE "C") = 60
                        THEN public.wait_at_gate(4711 + 0 * length(charge_no))::text END AS gate
            FROM (\(source)) AS c
            ORDER BY charge_no COLLATE "C"

            """
        ]
    }

    /// A gate that is held until `open`.
    func closeGate() async throws -> PostgresSession {
        let gate = try await PostgresSession.connect(administrator, purpose: "gate")
        try await gate.execute("SELECT pg_advisory_lock(4711)", action: "close the gate")
        return gate
    }

    /// Waits until a worker's job of the gated dataset stands at the gate, its first part uploaded.
    func untilAtGate(_ workers: Program...) async throws {
        for worker in workers {
            let workerID = worker.name.split(separator: "-").dropLast().joined(separator: "-")
            try await until(
                """
                SELECT count(*) > 0 FROM bda.job AS j
                JOIN pg_locks AS l ON l.pid = j.backend_pid AND l.locktype = 'advisory' AND NOT l.granted
                WHERE j.state = 'running' AND j.segment = 'tripica.gated' AND j.worker_id = '\(workerID)'
                """, worker)
        }
    }

    // MARK: What is in the vaults, on the wire and in the store

    /// Leaves the vaults without a row.
    func emptyVaults() async throws {
        try await session.execute(
            """
            DO $$ DECLARE name regclass; BEGIN
                FOR name IN SELECT oid FROM pg_class
                            WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE '%\\_vault' LOOP
                    EXECUTE format('TRUNCATE %s', name);
                END LOOP;
            END $$
            """, action: "empty the vaults")
    }

    /// A topic's messages from the beginning, up to the one that is the last; throws when that does not come.
    func messages(
        of topic: String, until isLast: (KafkaReceivedMessage) -> Bool
    ) async throws -> [KafkaReceivedMessage] {
        let reader = try await KafkaTopicReader.make(
            configuration: kafka, topic: topic, from: .beginning, logger: TestKafka.logger)
        var messages: [KafkaReceivedMessage] = []
        while let message = try await reader.next(within: .seconds(20)) {
            messages.append(message)
            if isLast(message) {
                try await reader.close()
                return messages
            }
        }
        try? await reader.close()
        throw Overdue(what: "the last message of \(topic) has not come", limit: .seconds(20), context: "")
    }

    /// All keys under the output prefix.
    func keys() async throws -> [String] { try await store.list(prefix: "billing/").map(\.key) }
}

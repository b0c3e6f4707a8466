import BlockingIO
import Foundation
import Glibc
import JobModel
import Kafka
import Postgres
import Testing
import TestSupport

extension WholeSystem {
    @Suite struct DispatchTests {
        @Test("in the first run jobs begin longest first, by the sizes of the tables that they read")
        func longestFirst() async throws {
            // One slot and one partition of the topic: the order of requests is the order of work.
            let settings = ["BDA_PARTITIONS": "1", "BDA_WORKER_SLOTS": "1", "BDA_JOBS_TOPIC_PARTITIONS": "1"]
            try await Fleet.with(settings) { fleet in
                let run = try fleet.run()
                try await fleet.until("SELECT count(*) > 0 FROM bda.run WHERE graph_at IS NOT NULL", run)
                // What waits for nothing is ready at once; what it reads is known from the catalogue.
                let expected = try await fleet.session.execute(
                    """
                    SELECT s.segment FROM bda.run_script AS s, unnest(s.tables) AS name
                    JOIN pg_class AS c ON c.oid = name::regclass
                    WHERE s.kind = 'init' AND s.reads = 'vault'
                    GROUP BY s.segment ORDER BY sum(c.reltuples) DESC, s.segment
                    """, action: "look up the sizes"
                ).rows.map { $0[0] ?? "" }
                #expect(expected.count > 5 && expected.first != expected.sorted().first)
                try await fleet.until("SELECT count(published_at) = \(expected.count) FROM bda.job", run)
                let worker = try fleet.worker("one")
                try await run.succeeds()
                let begun = try await fleet.session.execute(
                    """
                    SELECT j.segment FROM bda.job AS j JOIN bda.attempt AS a ON a.job_id = j.job_id
                    JOIN bda.run_script AS s ON s.run_id = j.run_id AND s.segment = j.segment AND s.reads = 'vault'
                    ORDER BY a.started_at
                    """, action: "read the order"
                ).rows.map { $0[0] ?? "" }
                #expect(begun == expected)
                try await fleet.drain(worker)
            }
        }

        @Test("workers that come later take their share at once, while the first one's job runs on")
        func latecomers() async throws {
            let settings = ["BDA_PARTITIONS": "4", "BDA_WORKER_SLOTS": "1"]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let early = try fleet.worker("early")
                let run = try fleet.run()
                try await fleet.untilAtGate(early)
                let late = (try fleet.worker("late1"), try fleet.worker("late2"))
                try await fleet.untilAtGate(late.0, late.1)
                try await fleet.untilAtGate(early)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await run.succeeds()
                #expect(try await fleet.jobs("attempt > 1").isEmpty)
                try await fleet.drain(early, late.0, late.1)
            }
        }

        @Test(
            "Kafka is killed in mid-run: jobs end, status says what that means, and with Kafka back the run is announced",
            .enabled(if: StoppableKafka.isAvailable, "KAFKA_HOME is not set"))
        func kafkaIsKilled() async throws {
            let settings = ["BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "1"]
            try await Fleet.with(settings, isSetUp: false, scripts: Fleet.gatedScripts()) { fleet in
                let kafka = try await StoppableKafka(in: fleet.folder)
                defer { kafka.kill() }
                let brokers = ["BDA_KAFKA_BOOTSTRAP_SERVERS": kafka.servers]
                try await fleet.coordinator(["setup"], settings: brokers).succeeds()
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one", settings: brokers)
                let run = try fleet.run(settings: brokers)
                try await fleet.untilAtGate(worker)

                kafka.kill()
                try await fleet.until("SELECT kafka_unreachable_since IS NOT NULL FROM bda.run", run)
                let status = try fleet.coordinator(["status"], settings: brokers)
                try await status.succeeds()
                for words in ["Kafka: unreachable since", "take the jobs from the ledger"] {
                    #expect(status.outputText.contains(words), status.report)
                    #expect(run.errorText.contains("take the jobs from the ledger"), run.report)
                }
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                await gate.close()
                try await fleet.until("SELECT state = 'published' FROM bda.run", within: .seconds(90), run, worker)
                let published = try await Export.latest(in: fleet.store)
                let waiting = try fleet.coordinator(["status", "--json"], settings: brokers)
                try await waiting.succeeds()
                #expect(waiting.outputText.contains("\"kafka_unreachable_since\":\"20"), waiting.report)
                #expect(waiting.outputText.contains("restore Kafka"), waiting.report)
                #expect(run.ending == nil)

                try await kafka.start()
                try await run.succeeds()
                let rows = try await fleet.session.execute(
                    "SELECT state, kafka_unreachable_since FROM bda.run", action: "read the run")
                #expect(rows.rows == [["closed", nil]])
                #expect(try await Export.latest(in: fleet.store).run == published.run)
                #expect(try await fleet.jobs("attempt > 1").isEmpty)
                try await fleet.drain(worker)
            }
        }
    }
}

/// Apache Kafka of a test's own, on a port that stays the same when it is killed and started again.
final class StoppableKafka: Sendable {
    /// Whether there is one to start.
    static let isAvailable = ProcessInfo.processInfo.environment["KAFKA_HOME"] != nil && TestKafka.isRealExpected

    let servers: String
    private let home: String
    private let folder: TemporaryFolder
    private let environment: [String: String]
    private let running = Mutex<[Program]>([])

    /// Formats its storage and starts it.
    init(in folder: TemporaryFolder) async throws {
        self.folder = folder
        home = try #require(ProcessInfo.processInfo.environment["KAFKA_HOME"])
        var properties = try String(contentsOfFile: "\(Fleet.scripts)/dev/kafka.properties", encoding: .utf8)
            .replacing("@DATA@", with: "\(folder.path)/kafka-data")
        let port = try Self.freePort()
        properties = properties.replacing("@PORT@", with: "\(port)")
        // The other listeners are nobody's here.
        while let name = properties.firstMatch(of: /@[A-Z_]+_PORT@/)?.output {
            properties = properties.replacing(name, with: "\(try Self.freePort())")
        }
        try folder.write(properties, to: "kafka.properties")
        servers = "127.0.0.1:\(port)"
        environment = Fleet.inherited.merging([
            "LOG_DIR": "\(folder.path)/kafka-log", "KAFKA_HEAP_OPTS": "-Xms128m -Xmx384m",
            "KAFKA_OPTS": "-XX:-UsePerfData",
        ]) { _, new in new }
        let format = try Program(
            "\(home)/bin/kafka-storage.sh",
            ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", "\(folder.path)/kafka.properties"],
            environment: environment, name: "kafka-format", in: folder)
        try await format.succeeds()
        try await start()
    }

    /// Starts it, also again, and waits until it answers.
    func start() async throws {
        let number = running.withLock { $0.count }
        let program = try Program(
            "\(home)/bin/kafka-server-start.sh", ["\(folder.path)/kafka.properties"], environment: environment,
            name: "kafka-\(number)", in: folder)
        running.withLock { $0.append(program) }
        let configuration = try KafkaConfiguration(bootstrapServers: servers, clientID: "test")
        let admin = try await KafkaAdmin.make(configuration: configuration, logger: TestKafka.logger)
        try await admin.checkReachable(within: .seconds(60))
        try await admin.close()
    }

    /// Ends it at once; what it wrote stays.
    func kill() { running.withLock { $0 }.last?.kill() }

    private static func freePort() throws -> UInt16 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try #require(bind(listener, $0, length) == 0 && getsockname(listener, $0, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }
}

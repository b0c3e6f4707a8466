import Foundation
import Glibc
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem {
    @Suite struct LocalModeTests {
        @Test("local mode needs no Kafka and no S3, and a worker that is killed is replaced")
        func local() async throws {
            let settings = [
                "BDA_PARTITIONS": "2", "BDA_LEASE_SECONDS": "3", "BDA_LOG_LEVEL": "", "BDA_WORKER_SLOTS": "1",
            ]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let output = "\(fleet.folder.path)/output"
                let nowhere = ["BDA_KAFKA_BOOTSTRAP_SERVERS": "", "BDA_OUTPUT": "", "BDA_S3_ENDPOINT": ""]
                let gate = try await fleet.closeGate()
                let program = try fleet.coordinator(
                    ["local", "--workers", "2", "--output", output, "--date", SampleWarehouse.date], settings: nowhere)
                try await fleet.until(
                    """
                    SELECT count(DISTINCT worker_id) = 2 FROM bda.job
                    WHERE state = 'running' AND segment = 'tripica.gated'
                    """,
                    program)
                let workers = try Self.children(of: program.processID)
                #expect(workers.count == 2)
                Glibc.kill(try #require(workers.first), SIGKILL)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                try await program.succeeds()
                await gate.close()

                let lost = try await fleet.session.execute(
                    "SELECT count(*) FROM bda.attempt WHERE outcome = 'lost'", action: "count the lost attempts"
                ).firstValue
                #expect(lost == "1")
                let export = try await Export.latest(in: try ObjectStoreConfiguration.files(directory: output).open())
                #expect(program.outputText.contains("manifest: file://\(output)/"), program.report)
                for dataset in export.run.datasets {
                    let line = program.outputText.split(separator: "\n").first {
                        $0.drop { $0 == " " }.hasPrefix("\(dataset.name) ")
                    }
                    let words = try #require(line, program.report).split(separator: " ").prefix(4).map(String.init)
                    #expect(words == ["\(dataset.name)", "\(dataset.parts)", "\(dataset.rows)", "\(dataset.bytes)"])
                }
                // Its workers have ended with it.
                #expect(workers.allSatisfy { Glibc.kill($0, 0) == -1 && errno == ESRCH })
            }
        }

        private static let nowhere = ["BDA_KAFKA_BOOTSTRAP_SERVERS": "", "BDA_OUTPUT": ""]

        @Test("a store is a store: local mode writes to S3, and a worker that is stopped is replaced")
        func localToS3() async throws {
            let settings = ["BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "1"]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let output = String(fleet.store.uri(forKey: "x").dropLast(2))
                let program = try fleet.coordinator(
                    ["local", "--workers", "2", "--output", output, "--date", SampleWarehouse.date],
                    settings: Self.nowhere)
                try await fleet.until(
                    "SELECT count(*) > 0 FROM bda.job WHERE state = 'running' AND segment = 'tripica.gated'", program)
                let stopped = try #require(try Self.children(of: program.processID).first)
                Glibc.kill(stopped, SIGTERM)
                try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
                try await program.succeeds()
                await gate.close()
                _ = try await Export.latest(in: fleet.store)
                #expect(program.outputText.contains("manifest: s3://"), program.report)
                let state = try await fleet.session.execute("SELECT state FROM bda.run", action: "look").firstValue
                #expect(state == "closed")
            }
        }

        @Test("a store that local mode does not know is refused with those that it knows")
        func unknownStore() async throws {
            try await Fleet.with(sample: false, isSetUp: false) { fleet in
                let program = try fleet.coordinator(
                    ["local", "--output", "gs://bucket", "--date", SampleWarehouse.date], settings: Self.nowhere)
                #expect(try await program.ended() == .exit(2), program.report)
                #expect(program.errorText.contains("s3") && program.errorText.contains("file"), program.report)
                #expect(!FileManager.default.fileExists(atPath: "gs:"))
            }
        }

        @Test("workers that end with 0 at once do not make a run complete")
        func workersThatEndAtOnce() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                let program = try fleet.coordinator(
                    [
                        "local", "--workers", "1", "--output", "\(fleet.folder.path)/output", "--date",
                        SampleWarehouse.date,
                    ],
                    settings: Self.nowhere, programs: try fleet.programs(worker: "exit 0"))
                #expect(try await program.ended() == .exit(31), program.report)
                #expect(program.errorText.contains("ended before the run"), program.report)
                let closed = try await fleet.session.execute(
                    "SELECT count(*) FROM bda.run WHERE state = 'closed'", action: "count closed runs"
                ).firstValue
                #expect(closed == "0")
            }
        }

        /// The processes that a process has started and not waited for yet.
        static func children(of parent: pid_t) throws -> [pid_t] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.filter { number in
                // After the name, which stands in parentheses: state, parent.
                guard let data = FileManager.default.contents(atPath: "/proc/\(number)/stat") else { return false }
                let fields = String(decoding: data, as: UTF8.self).split(separator: ")").last?.split(separator: " ")
                return fields.flatMap { $0.count > 1 ? pid_t($0[1]) : nil } == parent
            }
        }
    }
}

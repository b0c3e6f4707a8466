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

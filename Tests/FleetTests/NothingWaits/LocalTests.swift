import Foundation
import Glibc
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem.NothingWaits {
    @Suite struct LocalTests {
        private static let nowhere = ["BDA_KAFKA_BOOTSTRAP_SERVERS": "", "BDA_LOG_LEVEL": "", "BDA_WORKER_SLOTS": "1"]

        @Test("7: local whose worker ended early says so, and never exits 0 with a run that is not closed")
        func workerEndsEarly() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: Fleet.gatedInit) { fleet in
                let gate = try await fleet.closeGate()
                let output = "\(fleet.folder.path)/output"
                let program = try fleet.coordinator(
                    ["local", "--workers", "1", "--output", output, "--date", SampleWarehouse.date],
                    settings: Self.nowhere.merging(["BDA_OUTPUT": "", "BDA_S3_ENDPOINT": ""]) { _, new in new })
                try await fleet.until(
                    "EXISTS (SELECT FROM bda.job WHERE state = 'running' AND segment = 'tripica.gated')", program)
                let worker = try #require(try WholeSystem.LocalModeTests.children(of: program.processID).first)
                // It drains: it does its job and ends with exit code 0, long before the run is done.
                Glibc.kill(worker, SIGTERM)
                try await fleet.open(gate)
                let ending = try await program.ended(within: .seconds(90))
                let run = try await fleet.newestRunEnding()
                if run.state == "closed" {
                    #expect(ending == .exit(0), program.report)
                } else {
                    #expect(ending != .exit(0), program.report)
                    #expect(program.errorText.contains("worker"), program.report)
                }
            }
        }

        @Test("10: local writes to S3 as well")
        func toS3() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                let output = try #require(fleet.environment["BDA_OUTPUT"])
                let program = try fleet.coordinator(
                    ["local", "--workers", "1", "--output", output, "--date", SampleWarehouse.date],
                    settings: Self.nowhere.merging(["BDA_OUTPUT": ""]) { _, new in new })
                try await program.succeeds()
                let export = try await Export.latest(in: fleet.store)
                #expect(!export.parts.isEmpty)
                #expect(!FileManager.default.fileExists(atPath: "s3:"))
                #expect(!FileManager.default.fileExists(atPath: "\(fleet.folder.path)/s3:"))
            }
        }
    }
}

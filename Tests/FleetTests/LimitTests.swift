import Foundation
import Glibc
import JobModel
import ObjectStore
import Postgres
import Testing

extension WholeSystem {
    @Suite struct LimitTests {
        @Test("a database that takes no changes is named by both programs, and when it does again the run goes well")
        func readOnlyDatabase() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                let database = SQL.identifier(fleet.administrator.database)
                try await fleet.session.execute(
                    "ALTER DATABASE \(database) SET default_transaction_read_only = on", action: "refuse changes")
                let worker = try fleet.worker("one")
                let refused = try fleet.run()
                #expect(try await refused.ended() == .exit(20), refused.report)
                for words in ["25006", "read-only", "BDA_DB_HOST"] {
                    #expect(refused.errorText.contains(words), refused.report)
                }
                try await fleet.until("the worker says so", [worker]) {
                    worker.errorText.contains("25006") && worker.errorText.contains("BDA_DB_HOST")
                }
                #expect(worker.ending == nil)
                try await fleet.session.execute(
                    "ALTER DATABASE \(database) RESET default_transaction_read_only", action: "take changes")
                try await fleet.run().succeeds()
                try await fleet.drain(worker)
            }
        }

        @Test(
            "no room under BDA_OUTPUT: the job is tried again, says why, and goes well once there is room",
            .enabled(if: SmallDisk.isAvailable, "only root may mount a small file system"))
        func fullDisk() async throws {
            let settings = [
                "BDA_PARTITIONS": "1", "BDA_RETRY_MAX_SECONDS": "1", "BDA_MAX_ATTEMPTS": "60", "BDA_S3_ENDPOINT": "",
            ]
            try await Fleet.with(settings) { fleet in
                let disk = try await SmallDisk(kilobytes: 128, in: fleet.folder)
                do {
                    let output = ["BDA_OUTPUT": "file://\(disk.path)"]
                    let worker = try fleet.worker("one", settings: output)
                    let run = try fleet.run(settings: output)
                    try await fleet.until(
                        "EXISTS (SELECT FROM bda.attempt WHERE outcome = 'retry' AND code = 'no_space')", run, worker)
                    let attempt = try await fleet.session.execute(
                        "SELECT message, hint FROM bda.attempt WHERE code = 'no_space' LIMIT 1", action: "read it"
                    ).rows[0]
                    #expect(
                        attempt[0]?.contains(disk.path) == true && attempt[1]?.contains("BDA_OUTPUT") == true,
                        "\(attempt)")
                    let status = try fleet.coordinator(["status"])
                    try await status.succeeds()
                    #expect(status.outputText.contains("No space left on device"), status.report)
                    #expect(status.outputText.contains("hint: make room"), status.report)
                    // What a failed attempt wrote is not left behind to fill the disk further.
                    try await disk.grow(toKilobytes: 65_536)
                    try await run.succeeds()
                    let export = try await Export.latest(
                        in: try ObjectStoreConfiguration.files(directory: disk.path).open())
                    let named = export.parts.count
                    let files = try FileManager.default.subpathsOfDirectory(atPath: disk.path)
                    #expect(files.count { $0.hasSuffix(".csv") } == named)
                    try await fleet.drain(worker)
                } catch {
                    await disk.remove()
                    throw error
                }
                await disk.remove()
            }
        }

        @Test("a file that may not grow further is an error of the job, and not the end of its worker")
        func fileSizeLimit() async throws {
            let settings = ["BDA_PARTITIONS": "1", "BDA_LOG_LEVEL": "error", "BDA_S3_ENDPOINT": ""]
            try await Fleet.with(settings) { fleet in
                let output = ["BDA_OUTPUT": "file://\(fleet.folder.path)/output"]
                try FileManager.default.createDirectory(
                    atPath: "\(fleet.folder.path)/output", withIntermediateDirectories: true)
                let worker = try fleet.worker("one", settings: output)
                // As `ulimit -f` sets it.
                let limit = try Program(
                    "/usr/bin/env", ["prlimit", "--pid=\(worker.processID)", "--fsize=100000"],
                    environment: Fleet.inherited, name: "prlimit", in: fleet.folder)
                try await limit.succeeds()
                let run = try fleet.run(settings: output)
                #expect(try await run.ended() == .exit(11), run.report)
                for words in ["File too large", "ulimit -f"] { #expect(run.errorText.contains(words), run.report) }
                #expect(worker.ending == nil, worker.report)
                try await fleet.drain(worker)
            }
        }
    }
}

/// A file system of a few kilobytes.
private struct SmallDisk {
    static let isAvailable = geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/bin/mount") && canMount

    let path: String
    private let folder: TemporaryFolder

    init(kilobytes: Int, in folder: TemporaryFolder) async throws {
        self.folder = folder
        path = "\(folder.path)/disk"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try await run("mount", ["-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", path])
    }

    func grow(toKilobytes kilobytes: Int) async throws {
        try await run("mount", ["-o", "remount,size=\(kilobytes)k", path])
    }

    func remove() async { _ = try? await run("umount", ["--lazy", path]) }

    private func run(_ command: String, _ arguments: [String]) async throws {
        let program = try Program(
            "/bin/\(command)", arguments, environment: Fleet.inherited, name: "\(command)-\(UUID().uuidString)",
            in: folder)
        try await program.succeeds()
    }

    /// Containers mostly refuse it, root or not.
    private static let canMount: Bool = {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("bda-mount-\(UUID().uuidString)").path
        guard (try? FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)) != nil,
            Glibc.mount("tmpfs", place, "tmpfs", 0, "size=64k") == 0
        else { return false }
        umount(place)
        try? FileManager.default.removeItem(atPath: place)
        return true
    }()
}

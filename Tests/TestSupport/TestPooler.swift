import Foundation
package import Postgres
import Settings

/// A PgBouncer in transaction mode in front of a test's database.
package final class TestPooler: Sendable {
    /// Where clients connect.
    package let port: Int
    private let process: Process
    private let folder: URL

    package static let isAvailable = program != nil
    private static let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    /// Starts the pooler and returns when it accepts connections. Its clients give no password; it logs in as
    /// `configuration` says.
    package init(to configuration: PostgresConfiguration) async throws {
        guard let program = Self.program else { throw TestPoolerError(description: "pgbouncer is not installed") }
        // A port that was free a moment ago.
        let listener = try LoopbackListener { _ in }
        port = listener.port
        listener.close()
        folder = FileManager.default.temporaryDirectory.appending(path: "pooler-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let settings = folder.appending(path: "pgbouncer.ini")
        let password = try configuration.password.map { " password=\(try $0.reveal())" } ?? ""
        try """
        [databases]
        \(configuration.database) = host=127.0.0.1 port=\(configuration.port) user=\(configuration.user)\(password)
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = \(port)
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        """.write(to: settings, atomically: true, encoding: .utf8)
        process = Process()
        process.executableURL = URL(filePath: program)
        // It refuses to run as root; the test server's user exists then.
        process.arguments = ["--quiet"] + (getuid() == 0 ? ["--user", "postgres"] : []) + [settings.path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            if let connection = Loopback.connect(to: port) {
                close(connection)
                return
            }
            guard process.isRunning, ContinuousClock.now < deadline else {
                stop()
                throw TestPoolerError(description: "pgbouncer did not start")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// The way to the database through the pooler.
    package func configuration(behind role: PostgresConfiguration) -> PostgresConfiguration {
        var pooled = role
        (pooled.host, pooled.port) = ("127.0.0.1", port)
        return pooled
    }

    /// Ends the pooler and its connections.
    package func stop() {
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: folder)
    }
}

struct TestPoolerError: Error, CustomStringConvertible {
    let description: String
}

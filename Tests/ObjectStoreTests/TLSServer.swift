import Foundation

/// OpenSSL's own test server on a free loopback port, with a certificate for `localhost` that nobody has signed. It
/// answers every GET with a page about the connection.
final class TLSServer {
    static let program = "/usr/bin/openssl"

    let port: Int
    /// The certificate's file, which is also its authority's.
    let certificate: String
    private let folder: URL
    private let process = Process()

    /// `given` is the file of another certificate with its key.
    init(certificateWithKey given: String? = nil) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("bda-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        certificate = given ?? folder.appendingPathComponent("certificate.pem").path
        let key = given ?? folder.appendingPathComponent("key.pem").path
        if given == nil { try Self.makeCertificate(certificate, key: key) }

        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = [
            "s_server", "-accept", "localhost:0", "-4", "-www", "-cert", certificate, "-key", key,
        ]
        process.standardInput = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        // It says `ACCEPT 127.0.0.1:12345` when it listens.
        var text = ""
        while !text.contains(/ACCEPT .*\n/) {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { throw POSIXError(.ECHILD) }
            text += String(decoding: more, as: UTF8.self)
        }
        guard let found = text.firstMatch(of: /ACCEPT .*:([0-9]+)/).flatMap({ Int($0.1) }) else {
            throw POSIXError(.EADDRNOTAVAIL)
        }
        port = found
    }

    private static func makeCertificate(_ certificate: String, key: String) throws {
        let maker = Process()
        maker.executableURL = URL(fileURLWithPath: program)
        maker.arguments = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ]
        maker.standardError = FileHandle.nullDevice
        try maker.run()
        maker.waitUntilExit()
    }

    deinit {
        // Not terminate(): a child of Foundation's Process may have SIGTERM blocked.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }
}

package import CommandLineOptions
import Glibc

/// A text that is never printed: each way of printing a `Secret` gives `***`. Its source is a value or a file.
///
/// Each `reveal()` reads the file: a secret that is rotated while the program runs takes effect at the next connection.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private enum Source: Hashable {
        case value(String)
        case file(path: String, setting: String)
    }

    private let source: Source

    package init(_ text: String) { source = .value(text) }

    /// The contents of the file at `path`, without one line end at its end. Errors name `setting`, which holds the
    /// path.
    package init(file path: String, setting: String) { source = .file(path: path, setting: setting) }

    /// The path of the file that holds the text; nil for a secret that was given as a value.
    package var file: String? {
        if case .file(let path, _) = source { path } else { nil }
    }

    /// The text itself, for the call that needs it; never for a log line, an error or a command line.
    package func reveal() throws(SecretUnreadable) -> String {
        switch source {
        case .value(let text): return text
        case .file(let path, let setting):
            do throws(ReadFailure) {
                return try Self.contents(of: path)
            } catch {
                throw SecretUnreadable(setting: setting, problem: error.problem(with: path))
            }
        }
    }

    package var description: String { "***" }
    package var debugDescription: String { "***" }
    /// Without children, so that `dump` shows no value either.
    package var customMirror: Mirror { Mirror(self, children: []) }

    private enum ReadFailure: Error {
        case unreadable(String)
        case empty

        func problem(with path: String) -> String {
            switch self {
            case .unreadable(let cause): "unable to read '\(path)': \(cause)"
            case .empty: "the file '\(path)' is empty"
            }
        }
    }

    private static let maximumBytes = 65_536

    private static func contents(of path: String) throws(ReadFailure) -> String {
        // Opening a pipe without a writer would block; a pipe could not be read again anyway.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(String(cString: strerror(errno))) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .unreadable(String(cString: strerror(EISDIR)))
        default: throw .unreadable("it is not a regular file")
        }
        var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
        var count = 0
        while count < bytes.count {
            let size = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + count, $0.count - count) }
            if size < 0 && errno == EINTR { continue }
            guard size >= 0 else { throw .unreadable(String(cString: strerror(errno))) }
            if size == 0 { break }
            count += size
        }
        guard count <= maximumBytes else { throw .unreadable("it has more than 64 KiB") }
        guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw .unreadable("it is not UTF-8")
        }
        // Swift counts "\r\n" as one character.
        let secret = text.hasSuffix("\r\n") || text.hasSuffix("\n") ? String(text.dropLast()) : text
        if secret.isEmpty { throw .empty }
        return secret
    }
}

/// The file of a secret cannot be read, or is empty. `description` is safe to log: it holds nothing of the contents.
package struct SecretUnreadable: ErrorWithExitCode, Sendable, Hashable {
    /// The setting that names the file.
    package let setting: String
    package let problem: String

    package var description: String { "\(setting): \(problem)" }
    package var exitCode: ExitCode { .usage }
    package var hint: String? { "the file must exist and be readable by this process's user at each connection" }
}

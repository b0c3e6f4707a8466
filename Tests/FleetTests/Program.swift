import BlockingIO
import Foundation
import Glibc
import Testing

/// A process of one of our programs. What it writes goes to files.
final class Program: Sendable {
    /// How a process ended.
    enum Ending: Sendable, Hashable {
        case exit(Int32)
        case signal(Int32)
    }

    private struct State {
        var ending: Ending?
        var waiters: [OneShot<Ending>] = []
    }

    let name: String
    let processID: pid_t
    private let output: String
    private let errors: String
    private let state: Mutex<State>

    /// Starts it; its files are `<name>.out` and `<name>.err` in the folder.
    init(
        _ path: String, _ arguments: [String], environment: [String: String], name: String, in folder: TemporaryFolder
    ) throws {
        self.name = name
        output = "\(folder.path)/\(name).out"
        errors = "\(folder.path)/\(name).err"
        let state = Mutex(State())
        self.state = state
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try Self.file(output)
        process.standardError = try Self.file(errors)
        process.terminationHandler = { process in
            let ending: Ending =
                process.terminationReason == .uncaughtSignal
                ? .signal(process.terminationStatus) : .exit(process.terminationStatus)
            let waiters = state.withLock { state in
                defer { state.waiters = [] }
                state.ending = ending
                return state.waiters
            }
            for waiter in waiters { waiter.resolve(.success(ending)) }
        }
        try process.run()
        processID = process.processIdentifier
    }

    private static func file(_ path: String) throws -> FileHandle {
        try Data().write(to: URL(fileURLWithPath: path))
        return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }

    /// What it has written to standard output so far.
    var outputText: String { Self.text(of: output) }
    /// What it has written to standard error so far.
    var errorText: String { Self.text(of: errors) }

    private static func text(of path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    /// For a failed expectation: who it is, and the last of what it wrote.
    var report: Comment {
        Comment(rawValue: "\(name) wrote:\n\(outputText.suffix(2000))\n\(errorText.suffix(4000))")
    }

    /// How it ended; nil while it runs.
    var ending: Ending? { state.withLock { $0.ending } }

    /// Sends a signal, unless it has ended.
    func signal(_ number: Int32) {
        // Within the lock: until the ending is noted, the number belongs to no other process of ours.
        state.withLock { if $0.ending == nil { Glibc.kill(processID, number) } }
    }

    /// Ends it at once.
    func kill() { signal(SIGKILL) }

    /// Waits for its end.
    func ended(within limit: Duration = .seconds(60)) async throws -> Ending {
        let waiter = OneShot<Ending>()
        let ended = state.withLock { state in
            if state.ending == nil { state.waiters.append(waiter) }
            return state.ending
        }
        if let ended { return ended }
        return try await withThrowingTaskGroup(of: Ending?.self) { group in
            group.addTask { try await waiter.value }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let ending = first else {
                throw Overdue(what: "\(name) has not ended", limit: limit, context: report.rawValue)
            }
            return ending
        }
    }

    /// Waits for its end, which must be exit code 0.
    func succeeds(
        within limit: Duration = .seconds(90), sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try #require(try await ended(within: limit) == .exit(0), report, sourceLocation: sourceLocation)
    }
}

/// Something did not happen in time.
struct Overdue: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    let context: String

    var description: String { "\(what) within \(limit)\n\(context)" }
}

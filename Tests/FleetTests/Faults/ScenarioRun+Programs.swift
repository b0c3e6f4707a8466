import Foundation
import Glibc
import Testing
import TestSupport

extension ScenarioRun {
    /// The way from a program to the servers, through the proxies.
    func line(of worker: String?) -> [String: String] {
        let database = worker.flatMap { workerLines[$0] } ?? coordinatorLine
        var settings = [
            "BDA_DB_PORT": "\(database.port)", "BDA_S3_ENDPOINT": "http://127.0.0.1:\(store.port)",
            "BDA_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:\(broker.port)",
        ]
        if scenario.faults.contains(where: { $0.kind == .commitReplyLost }) {
            // The proxy looks for a text in what it passes on.
            settings["BDA_DB_SSLMODE"] = "disable"
        }
        for fault in scenario.faults where fault.kind == .clockAhead || fault.kind == .clockBehind {
            // One of the workers, or the coordinator.
            let number = fault.choice % (scenario.workers + 1)
            guard (number == 0 ? nil : "worker\(number)") == worker else { continue }
            // A coordinator is started again on another host, whose clock is right.
            guard number > 0 || coordinatorStarts % 2 == 1 else { continue }
            // Within and beyond the quarter of an hour that S3 allows.
            let seconds = [40, 240, 3600, 40_000][fault.choice / 10 % 4]
            settings["LD_PRELOAD"] = Self.clockLibrary
            settings["BDA_TEST_CLOCK_OFFSET"] = "\(fault.kind == .clockAhead ? seconds : -seconds)"
        }
        return settings
    }

    /// The library that shifts a program's clock.
    static let clockLibrary = ProcessInfo.processInfo.environment["BDA_TEST_WRONG_CLOCK"]

    /// The exit codes that any program may end with. One that is started while a topic is missing says so.
    private var mayEndWith: Set<Int32> {
        scenario.faults.contains { $0.kind == .deadLettersRefused } ? [0, 3, 20, 21, 22, 32] : [0, 20, 21, 22, 32]
    }

    func startWorker(_ name: String) throws {
        workers[name] = try fleet.worker(name, settings: line(of: name))
        wanted.insert(name)
    }

    /// Starts workers again that have ended, as an orchestrator does.
    func superviseWorkers() async throws {
        while !Task.isCancelled {
            for name in wanted.sorted() {
                guard let program = workers[name], let ending = program.ending else { continue }
                judge(program, ending, mayEndWith: mayEndWith)
                try startWorker(name)
            }
            do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
        }
    }

    /// Starts the coordinator again until it says that the date is complete, as a schedule does.
    func keepCoordinating() async throws {
        while !Task.isCancelled {
            // Who finds a frozen one holding the date repeats the take-over until it is done.
            let program = try startCoordinator(takesOver: replaced.contains { $0.ending == nil })
            coordinator = program
            try await follow(program)
            if isComplete { return }
            do { try await Task.sleep(for: .milliseconds(300)) } catch { return }
        }
    }

    func startCoordinator(takesOver: Bool) throws -> Program {
        coordinatorStarts += 1
        return try fleet.coordinator(
            ["run", "--date", SampleWarehouse.date] + (scenario.replacesRun ? ["--new"] : [])
                + (takesOver ? ["--takeover"] : []), settings: line(of: nil))
    }

    /// Waits for the end of a coordinator, or of the one that has taken its place.
    func follow(_ program: Program) async throws {
        var program = program
        while true {
            while program.ending == nil, coordinator === program, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(20))
            }
            guard let successor = coordinator, successor !== program else { break }
            program = successor
        }
        guard let ending = program.ending else { return }
        judge(program, ending, mayEndWith: mayEndWith.subtracting([32]).union([11, 13, 14, 30, 31]))
        switch ending {
        case .exit(0): isComplete = true
        case .exit(let code) where [11, 13, 14].contains(code):
            let reason = try await observer.value(
                "SELECT reason FROM bda.run WHERE state = 'failed' AND exit_code = \(code) ORDER BY ended_at DESC LIMIT 1"
            )
            if reason?.isEmpty != false { problems.append("\(program.name) ended with \(code), its run has no reason") }
        default: break
        }
    }

    /// Notes how a program ended, and whether it may end so.
    func judge(_ program: Program, _ ending: Program.Ending, mayEndWith codes: Set<Int32>) {
        switch ending {
        case .exit(let code):
            if code != 0 { notes.append("\(program.name): \(code)") }
            let saysWhy = code == 0 || code == 32 || program.errorText.contains("bda-")
            guard codes.contains(code), saysWhy else {
                problems.append("\(program.name) ended with \(code): \(program.errorText.suffix(600))")
                return
            }
        // Before it listens for signals it has not begun anything that could be drained.
        case .signal(SIGTERM) where !program.errorText.contains(" started"): break
        case .signal(let number):
            guard number == SIGKILL, killed.contains(program.processID) else {
                problems.append("\(program.name) died of signal \(number): \(program.errorText.suffix(600))")
                return
            }
        }
    }

    /// Drains the workers and waits for all that was ever started.
    func endPrograms() async throws {
        wanted = []
        for program in sleepers { program.signal(SIGCONT) }
        store.release()
        for program in workers.values { program.signal(SIGTERM) }
        for program in workers.values {
            judge(program, try await program.ended(within: .seconds(30)), mayEndWith: mayEndWith)
        }
        for program in replaced {
            judge(program, try await program.ended(within: .seconds(30)), mayEndWith: [0, 20, 21, 22, 30, 31])
        }
    }
}

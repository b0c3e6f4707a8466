import Bytes
import Foundation
import ObjectStore
import Postgres
import Settings
import Testing
import TestSupport

/// What `test.sh` and `soak.sh` say about the scenarios.
enum FaultSettings {
    private static let variables = ProcessInfo.processInfo.environment
    static let areWanted = variables["BDA_TEST_FAULTS"] == "1" && Fleet.isAvailable && TestKafka.isRealExpected
    /// Where what programs wrote is kept when an outcome is wrong.
    static let logs = variables["BDA_TEST_FAULTS_LOGS"]
    /// The file that a line for each scenario is added to; standard output when nil.
    static let report = variables["BDA_TEST_FAULTS_REPORT"]

    /// How long the broker stays away; from 20 to 40 seconds when nil.
    static let brokerAbsence = variables["BDA_TEST_FAULTS_ABSENCE"].flatMap { Int($0) }

    /// How many scenarios, of which seed, with which kind of fault; or a single one.
    static let scenarios: [Scenario] = {
        let number = { (name: String) in variables["BDA_TEST_FAULTS_\(name)"].flatMap { Int($0) } }
        let seed = UInt64(number("SEED") ?? 1)
        if let only = number("ONLY") { return [Scenario(seed: seed, index: only)] }
        let first = number("FROM") ?? 0
        let all = (first..<first + 10_000).lazy.map { Scenario(seed: seed, index: $0) }
        let kind = variables["BDA_TEST_FAULTS_KIND"] ?? ""
        return Array(
            all.filter { kind.isEmpty || $0.faults.contains { $0.kind.rawValue.contains(kind) } }
                .prefix(number("SCENARIOS") ?? 20))
    }()
}

extension ScenarioRun {
    /// Leaves one of each thing that the judgement must find.
    fileprivate func sabotage() async throws {
        let part = try #require(try await fleet.keys().first { $0.hasSuffix("part-0000-00001.csv") })
        _ = try await fleet.store.put(part, bytes: [1, 2, 3], options: WriteOptions(contentType: "text/csv"))
        let upload = try await fleet.store.beginUpload(
            "billing/acme/dev/left.csv", pieceBytes: 5 << 20, options: WriteOptions(contentType: "text/csv"))
        try await upload.write(ByteBuffer([1, 2, 3]), number: 1)
        _ = try await observer.rows("INSERT INTO bda.attempt SELECT job_id, 99, 'nobody' FROM bda.job LIMIT 1")
        _ = try await observer.rows("CREATE SCHEMA bda_run_left")
        var role = fleet.administrator
        role.host = "127.0.0.1"
        role.user = "billing_aggregator"
        role.password = fleet.environment["BDA_DB_PASSWORD"].map { Secret($0) }
        saboteur = try await PostgresSession.connect(role, purpose: "left")
        await recorder.forget()
    }
}

/// Nothing lost, nothing twice, whatever fails: seeded scenarios of faults, each judged by one oracle.
///
/// They restart servers, so they run by themselves: `scripts/dev/test.sh` runs twenty after all other tests,
/// `scripts/dev/soak.sh` any number.
@Suite(
    .serialized, .enabled(if: FaultSettings.areWanted, "scripts/dev/test.sh runs them after all other tests"),
    .sampleWarehouse, .faultLaboratory, .timeLimit(.minutes(10)))
struct FaultTests {
    @Test("every twenty scenarios of any seed have each kind of fault")
    func coverage() {
        for seed in 1...50 as ClosedRange<UInt64> {
            let kinds = (40..<60).flatMap { Scenario(seed: seed, index: $0).faults.map(\.kind) }
            #expect(Set(kinds) == Set(FaultKind.allCases), "seed \(seed)")
        }
    }

    @Test("the judgement finds each thing that may not be, and nothing when nothing happened")
    func judgement() async throws {
        let laboratory = try #require(Laboratory.current)
        let reference = try await laboratory.reference(partitions: 2)
        let quiet = Scenario(seed: 0, index: 0, partitions: 2, workers: 2, replacesRun: false, faults: [])
        try await laboratory.withFleet(partitions: 2) { fleet in
            let run = try ScenarioRun(quiet, fleet, reference: reference)
            do {
                try await run.play()
                try await run.judge()
                #expect(await run.problems == [])

                try await run.sabotage()
                try await run.judge(patience: .seconds(1))
                let problems = await run.problems
                for expected in [
                    "the export cannot be read", "attempts of complete runs without an end: 1", "1 uploads are left",
                    "schemas are left: bda_run_left", "session bda left", "completed jobs were not told",
                    "run.completed for []",
                ] {
                    #expect(problems.contains { $0.contains(expected) }, "not found: \(expected) in \(problems)")
                }
            } catch {
                await run.end()
                throw error
            }
            await run.end()
        }
    }

    @Test(
        "after any faults, a date is exported whole and once, and nothing is left behind",
        arguments: FaultSettings.scenarios)
    func scenario(_ scenario: Scenario) async throws {
        let start = ContinuousClock.now
        let laboratory = try #require(Laboratory.current)
        var problems: [String] = []
        var notes: [String] = []
        do {
            let reference = try await laboratory.reference(partitions: scenario.partitions)
            try await laboratory.withFleet(partitions: scenario.partitions) { fleet in
                let run = try ScenarioRun(scenario, fleet, reference: reference)
                do {
                    try await run.play()
                    try await run.judge()
                    problems = await run.problems
                } catch {
                    problems = await run.problems + ["\(error)"]
                }
                notes = await run.notes
                await run.end()
                if !problems.isEmpty { Self.keep(fleet.folder, of: scenario) }
            }
        } catch {
            problems.append("\(error)")
        }
        Self.report(scenario, problems: problems, notes: notes, time: ContinuousClock.now - start)
        #expect(problems.isEmpty, "\(scenario.story)")
    }

    /// Copies what the programs wrote to where soak.sh wants it.
    private static func keep(_ folder: TemporaryFolder, of scenario: Scenario) {
        guard let place = FaultSettings.logs else { return }
        try? FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let target = "\(place)/seed-\(scenario.seed)-scenario-\(scenario.index)"
        try? FileManager.default.removeItem(atPath: target)
        try? FileManager.default.copyItem(atPath: folder.path, toPath: target)
    }

    /// One line for people, to standard output or to the file that soak.sh shows.
    private static func report(_ scenario: Scenario, problems: [String], notes: [String], time: Duration) {
        let seconds = (time / .seconds(1)).formatted(.number.precision(.fractionLength(1)))
        var line =
            "\(scenario.index)  seed \(scenario.seed)  \(problems.isEmpty ? "ok" : "WRONG")  \(seconds) s  \(scenario.story)"
        if !notes.isEmpty { line += "  [\(notes.joined(separator: "; "))]" }
        for problem in problems { line += "\n    \(problem.split(separator: "\n").joined(separator: "\n        "))" }
        line += "\n"
        guard let path = FaultSettings.report, let file = FileHandle(forWritingAtPath: path) else {
            return print(line, terminator: "")
        }
        file.seekToEndOfFile()
        file.write(Data(line.utf8))
        try? file.close()
    }
}

import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Postgres
import Scripts
import Settings
import Warehouse

struct TryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "try",
        abstract: "Runs one script for a date, shows its rows, and rolls everything back.",
        discussion: """
            If the script reads tables of the run, the segments that it needs are run first, in the same transaction.
            Nothing remains in the database.

            EXAMPLES
              bda-coordinator try scripts/archive/tripica_charges.sql --date 2026-03-31
              bda-coordinator try scripts/prechecks/loads.sql --date 2026-03-31 --limit 100
            """)

    @Argument(help: "File of the script, in a folder of BDA_SCRIPTS_DIR.")
    var file: String

    @Option(help: "The business date; default: yesterday.")
    var date: String?

    @Option(help: "Customer bucket and number of buckets.")
    var partition = "0/16"

    @Option(help: "Maximum number of rows to show.")
    var limit = 20

    mutating func run() async throws {
        let (file, date, partition, limit) = (file, date, partition, limit)
        try await reportingFailures {
            let context = try CommandContext([])
            let scripts = try context.scripts()
            let businessDate = try context.businessDate(date)
            let numbers = partition.split(separator: "/").compactMap { Int($0) }
            guard numbers.count == 2, (1...1024).contains(numbers[1]), (0..<numbers[1]).contains(numbers[0]), limit >= 0
            else {
                throw RunFailure(
                    .usage, "--partition \(partition): write it as number/count, such as 0/16, from 0/1 to 1023/1024")
            }
            guard FileManager.default.isReadableFile(atPath: file) else {
                throw RunFailure(.usage, "unable to read the script '\(file)'")
            }
            let text = try String(contentsOfFile: file, encoding: .utf8)
            guard let script = scripts.segments.first(where: { $0.text.text == text }) else {
                throw RunFailure(
                    .usage,
                    "'\(file)' is not a segment of \(context.settings.scriptsFolders.joined(separator: ", "))",
                    hint:
                        "the file must be in prechecks/, init/, archive/, postchecks/ or history/ of a folder in BDA_SCRIPTS_DIR"
                )
            }
            let run = context.tryRun(date: businessDate, partitions: numbers[1])
            try await context.withSession { session in
                try await session.execute("BEGIN", action: "begin the trial")
                let trial = Trial(run: run, scripts: scripts, partition: numbers[0])
                let table = try await trial.rows(of: script, limit: limit, in: session)
                try await session.execute("ROLLBACK", action: "end the trial")
                print(table)
            }
        }
    }
}

/// The trial of a script in an open transaction.
struct Trial {
    let run: RunRecord
    let scripts: ScriptSet
    let partition: Int

    /// Runs the segments that the script needs, then the script. Returns its rows, or the number of written rows, as
    /// text.
    func rows(of script: SegmentScript, limit: Int, in session: PostgresSession) async throws -> String {
        if script.segment.reads == .run || script.segment.kind == .`init` {
            try await RunSchema(run).createForTrial(scripts.tables, in: session)
        }
        let byName = Dictionary(uniqueKeysWithValues: scripts.segments.map { ($0.segment.name, $0) })
        let graph = JobGraph(
            segments: scripts.segments.map(\.segment), systems: scripts.systems, partitionCount: run.partitionCount)
        var wanted: Set<SegmentName> = []
        var open = script.segment.kind.isJob ? script.segment.needs : graph.segments.map(\.name)
        while script.segment.reads == .run, let name = open.popLast() {
            guard wanted.insert(name).inserted, let needed = byName[name] else { continue }
            open += needed.segment.needs
        }
        for segment in graph.segments where wanted.contains(segment.name) && segment.kind == .`init` {
            for parameters in parameters(of: segment, all: true) {
                for statement in try byName[segment.name]!.text.statements(with: parameters) {
                    try await session.execute(
                        statement, within: .seconds(3600), action: "run \(segment.name), which is needed")
                }
            }
        }
        var output = ""
        for statement in try script.text.statements(with: parameters(of: script.segment, all: false)[0]) {
            let isQuery = script.segment.kind != .`init` && script.segment.kind != .history
            let result = try await session.execute(
                isQuery ? "SELECT * FROM (\(statement)\n) AS tried LIMIT \(limit)" : statement,
                within: .seconds(3600), action: "run \(script.segment.name)")
            if isQuery {
                output += TextTable(header: result.columns, rows: result.rows.map { $0.map { $0 ?? "NULL" } }).text()
                output += "\n(\(result.rows.count) rows shown, at most \(limit))"
            } else {
                output += "\(result.affectedRows) rows written, rolled back\n"
            }
        }
        return output
    }

    private func parameters(of segment: Segment, all: Bool) -> [ScriptParameters] {
        var parameters = run.parameters
        guard segment.split == .bucket else { return [parameters] }
        return (all ? Array(0..<run.partitionCount) : [partition]).map {
            parameters.partition = $0
            return parameters
        }
    }
}

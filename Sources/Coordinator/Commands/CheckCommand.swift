import Foundation
import JobModel
import Postgres
import CommandLineOptions
import ProgramSettings
import Settings
import Scripts
import Ledger
import Warehouse
import Timing

/// `check`.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks settings, script headers and the job graph, and, with a database, plans every script.",
        discussion: """
            Nothing is changed: with --database the run's tables are made and each script is planned (EXPLAIN) in a
            transaction that is rolled back.

            EXAMPLES
              bda-coordinator check              headers and graph
              bda-coordinator check --database   and EXPLAIN of every script
              bda-coordinator check --settings   all settings with their defaults
            """)

    @Flag(help: "Plan every script in the database.")
    var database = false

    @Flag(help: "List all settings with their defaults.")
    var settings = false

    mutating func run() async throws {
        let (usesDatabase, listsSettings) = (database, settings)
        if listsSettings {
            print(SettingCatalogue.programs.helpText)
            return
        }
        try await reportingFailures {
            let environment = try CommandEnvironment([])
            let scripts = try environment.scripts()
            let systems = try environment.systems(nil, of: scripts)
            let graph = JobGraph(
                segments: scripts.segments.map(\.segment), systems: Set(systems),
                partitionCount: environment.settings.partitions)
            print("settings: ok")
            print("scripts: \(scripts.segments.count) segments and \(scripts.tables.count) tables, ok")
            print(
                "graph: \(graph.jobCount) jobs of \(graph.segments.count) segments over \(graph.partitionCount) partitions"
            )
            guard usesDatabase else {
                print("next: bda-coordinator check --database")
                return
            }
            try await environment.checkLedger()
            let problems = try await environment.withSession { session in
                try await ScriptPlanner(environment: environment, scripts: scripts).problems(in: session)
            }
            guard problems.isEmpty else {
                throw RunFailure(
                    .usage, "\(problems.count) scripts cannot be planned:\n  " + problems.joined(separator: "\n  "))
            }
            print(
                "plans: all \(scripts.segments.count) segments can be planned in \(environment.settings.database.address)"
            )
        }
    }
}

/// Plans scripts against a database in a transaction that is rolled back.
struct ScriptPlanner {
    let environment: CommandEnvironment
    let scripts: ScriptSet

    /// One sentence for each script that the server refuses.
    func problems(in session: PostgresSession) async throws -> [String] {
        var problems: [String] = []
        try await session.execute("BEGIN", action: "begin the check")
        let run = environment.tryRun(date: environment.settings.yesterday(at: .now), partitions: 1)
        try await RunSchema(run).createForTrial(scripts.tables, in: session)
        for script in scripts.segments {
            var parameters = run.parameters
            switch script.segment.split {
            case .bucket: parameters.partition = 0
            case .pages: parameters.pages = (0, nil)
            case .none: break
            }
            for statement in try script.text.statements(with: parameters)
            where !statement.lowercased().hasPrefix("lock") {
                do {
                    try await session.execute(
                        "SAVEPOINT script; EXPLAIN \(statement)\n; RELEASE script", action: "plan \(script.text.file)")
                } catch let error as PostgresError where error.sqlState != nil {
                    problems.append("\(error)")
                    try await session.execute("ROLLBACK TO script", action: "go on with the next script")
                }
            }
        }
        try await session.execute("ROLLBACK", action: "end the check")
        return problems
    }
}

extension CommandEnvironment {
    /// A run that is in no ledger, for a trial.
    func tryRun(date: BusinessDate, partitions: Int) -> RunRecord {
        var generator = SystemRandomNumberGenerator()
        let now = Date()
        var run = RunRecord(
            runID: RunID(millisecondsSince1970: Int64(now.timeIntervalSince1970 * 1000), using: &generator),
            clientID: settings.clientID, environment: settings.environment, businessDate: date,
            cutoff: Timestamp.text(of: settings.cutoff(of: date)), systems: settings.systems, isCompleteSet: false,
            settings: settings.runSettings(partitionCount: partitions, output: ""), owner: "", snapshotID: nil)
        run.startedAt = Timestamp.text(of: now)
        return run
    }
}

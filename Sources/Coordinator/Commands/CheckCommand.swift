import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Postgres
import ProgramSettings
import Scripts
import Settings
import Timing
import Warehouse

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks settings, script headers and the job graph, and, with a database, plans every script.",
        discussion: """
            Nothing is changed: with --database the run's tables are created and each script is planned (EXPLAIN) in a
            transaction that is rolled back. A script is refused if it reads a relation that cannot be locked, or if
            its result depends on the time or the session.

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
            let context = try CommandContext([])
            let scripts = try context.scripts()
            let systems = try context.systems(nil, of: scripts)
            let graph = JobGraph(
                segments: scripts.segments.map(\.segment), systems: Set(systems),
                partitionCount: context.settings.partitions)
            print("settings: ok")
            print("scripts: \(scripts.segments.count) segments and \(scripts.tables.count) tables, ok")
            print(
                "graph: \(graph.jobCount) jobs of \(graph.segments.count) segments over \(graph.partitionCount) partitions"
            )
            guard usesDatabase else {
                print("not checked: plans, tables that are read, and functions that depend on the time or the session")
                print("next: bda-coordinator check --database")
                return
            }
            try await context.checkLedger()
            let run = context.tryRun(date: context.settings.yesterday(at: .now), partitions: 1)
            let relations = try await context.withSession { session in
                try await Relations.read(by: scripts.segments, of: run, making: scripts.tables, in: session)
            }
            for warning in relations.values.flatMap(\.warnings).sorted() { print("warning: \(warning)") }
            try Relations.refuse(relations)
            let tables = Set(relations.values.flatMap(\.tables))
            print(
                "plans: all \(scripts.segments.count) segments can be planned in \(context.settings.database.address); they read \(tables.count) tables and views"
            )
        }
    }
}

extension CommandContext {
    /// Returns a run for a trial; the ledger does not record it.
    func tryRun(date: BusinessDate, partitions: Int) -> RunRecord {
        var generator = SystemRandomNumberGenerator()
        let now = Date()
        var run = RunRecord(
            runID: RunID(millisecondsSince1970: Int64(now.timeIntervalSince1970 * 1000), using: &generator),
            clientID: settings.clientID, environment: settings.deployment, businessDate: date,
            cutoff: Timestamp.text(of: settings.cutoff(of: date)), systems: settings.systems, isCompleteSet: false,
            settings: settings.runSettings(partitionCount: partitions, output: ""), owner: "", snapshotID: nil)
        run.startedAt = Timestamp.text(of: now)
        return run
    }
}

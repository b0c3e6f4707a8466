import CommandLineOptions
import JobModel
import Ledger
import Scripts
import Settings
import Timing

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Shows the job graph that a run would have.",
        discussion: """
            EXAMPLES
              bda-coordinator plan --date 2026-03-31
              bda-coordinator plan --systems tripica --partitions 4
            """)

    @Option(help: "The business date; default: yesterday.")
    var date: String?

    @Option(help: "Systems, separated by commas; default: BDA_SYSTEMS.")
    var systems: String?

    @Option(help: "Number of customer buckets; default: BDA_PARTITIONS.")
    var partitions: Int?

    mutating func run() async throws {
        let (date, systems, partitions) = (date, systems, partitions)
        try await reportingFailures {
            let context = try CommandContext([])
            let scripts = try context.scripts()
            let businessDate = try context.businessDate(date)
            let chosen = try context.systems(systems, of: scripts)
            let count = try context.partitions(partitions)
            let selected = scripts.selected(systems: Set(chosen))
            let graph = JobGraph(segments: selected.map(\.segment), systems: Set(chosen), partitionCount: count)
            print(
                "business date \(businessDate), loads up to \(Timestamp.text(of: context.settings.cutoff(of: businessDate)))"
            )
            print(
                "systems \(chosen.joined(separator: ", ")), \(graph.jobCount) jobs of \(graph.segments.count) segments")
            let names = { (kind: SegmentKind) in
                selected.filter { $0.segment.kind == kind }.map(\.segment.name.description)
            }
            let table = TextTable(
                header: ["segment", "kind", "reads", "jobs", "waits for"],
                rows: graph.segments.map { segment in
                    [
                        segment.name.description, segment.kind.rawValue, segment.reads.rawValue,
                        "\(graph.jobCount(of: segment))",
                        graph.needs.filter { $0.segment == segment.name }
                            .map { "\($0.needs) (\($0.isSamePartition ? "same partition" : "all partitions"))" }
                            .joined(separator: ", "),
                    ]
                }, numeric: [3])
            print("before: prechecks \(names(.precheck).joined(separator: ", "))")
            print(table.text(indent: 2))
            print("after: postchecks \(names(.postcheck).joined(separator: ", "))")
            print("then: history \(names(.history).joined(separator: ", "))")
        }
    }
}

extension CommandContext {
    /// Returns the given number of partitions, or that of the settings.
    func partitions(_ given: Int?) throws -> Int {
        guard let given else { return settings.partitions }
        guard (1...1024).contains(given) else {
            throw RunFailure(.usage, "--partitions \(given) is not a number from 1 to 1024")
        }
        return given
    }
}

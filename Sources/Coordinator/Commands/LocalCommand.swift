import CommandLineOptions
import Foundation
import Kafka
import Logging
import ObjectStore
import Settings

struct LocalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "local",
        abstract:
            "Runs a business date on this machine alone: an embedded broker and worker processes.",
        discussion: """
            The coordinator and bda-worker are the same as in production. Kafka is replaced by librdkafka's mock cluster
            in this process, which stores nothing on disk. The output is a folder or a bucket. The BDA_DB_* settings name
            the database.

            EXAMPLES
              bda-coordinator local --workers 2 --output out
              bda-coordinator local --workers 4 --output out --date 2026-03-31 --new
              bda-coordinator local --output s3://bucket/prefix
            """)

    @Option(help: "Number of worker processes.")
    var workers = 2

    @Option(help: "The store that files are written to: a folder, file:///folder or s3://bucket/prefix.")
    var output: String

    @Option(help: "The business date; default: yesterday in BDA_TIME_ZONE.")
    var date: String?

    @Option(help: "Systems, separated by commas; default: BDA_SYSTEMS.")
    var systems: String?

    @Option(help: "Number of customer buckets; default: BDA_PARTITIONS.")
    var partitions: Int?

    @Flag(help: "Run a complete date again.")
    var new = false

    mutating func run() async throws {
        let (workers, output) = (workers, output)
        let options = RunOptions(date: date, systems: systems, partitions: partitions, isNew: new, takesOver: false)
        try await reportingFailures {
            guard (1...64).contains(workers) else {
                throw RunFailure(.usage, "--workers \(workers) is not a number from 1 to 64")
            }
            var variables = ProcessInfo.processInfo.environment
            variables["BDA_OUTPUT"] = Self.output(output)
            // The mock cluster has an address of its own and neither TLS nor authentication.
            for name in variables.keys where name.hasPrefix("BDA_KAFKA_") { variables[name] = nil }
            let context = try CommandContext([.output], environment: variables)
            if case .files(let folder) = context.output { try Self.create(folder) }
            let checked = try await CheckedRun(options, in: context)
            let fleet = try await LocalFleet(
                workers: workers, environment: variables, topics: context.settings.topicDefinitions,
                logger: context.logger)
            do {
                try await RunProgram(context: context, kafka: fleet.kafka, checked: checked, fleet: fleet).run()
            } catch {
                await fleet.stop(within: .seconds(5))
                throw error
            }
            await fleet.stop(within: .seconds(15))
        }
    }

    /// Returns the value of BDA_OUTPUT for `--output`. A URI is returned unchanged, so that an unknown scheme is
    /// refused with the list of allowed ones; any other text is a folder.
    static func output(_ text: String) -> String {
        guard !text.contains("://") else { return text }
        return ObjectStoreConfiguration.files(directory: URL(fileURLWithPath: text).standardizedFileURL.path).uri
    }

    private static func create(_ folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw RunFailure(
                .usage, "--output: unable to create the folder '\(folder)': \(error.localizedDescription)")
        }
    }
}

import CommandLineOptions
import Foundation
import JobModel
import Kafka
import Ledger
import Logging
import Scripts
import Settings
import Warehouse

struct SetupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Creates or upgrades the ledger in the warehouse, and creates missing topics.",
        discussion: """
            The command can be repeated: it keeps existing tables and topics, and concurrent setups wait for each other.
            Without BDA_KAFKA_BOOTSTRAP_SERVERS no topics are created; local mode needs none.

            EXAMPLES
              bda-coordinator setup --dry-run   show what would be done
              bda-coordinator setup
            """)

    @Flag(help: "Show what would be done, and change nothing.")
    var dryRun = false

    mutating func run() async throws {
        let isDryRun = dryRun
        try await reportingFailures {
            let variables = ProcessInfo.processInfo.environment
            let hasKafka = variables["BDA_KAFKA_BOOTSTRAP_SERVERS"]?.isEmpty == false
            let context = try CommandContext(hasKafka ? .kafka : [], environment: variables)
            let ledger = try LedgerSetup(folders: context.settings.scriptsFolders)
            guard ledger.migrations.count == LedgerVersion.current else {
                throw RunFailure(
                    .usage,
                    "the scripts folder contains version \(ledger.migrations.count) of the ledger, but this program needs version \(LedgerVersion.current)",
                    hint: "set BDA_SCRIPTS_DIR to the scripts folder of this program's version")
            }
            let scripts = try context.scripts()
            try await context.withSession { session in
                try await RunSchema.checkReports(
                    scripts.tables, schemas: ["bda", "bda_extensions", "report_oibl"], in: session)
                if isDryRun {
                    Self.report(try await ledger.pending(in: session), of: ledger, verb: "would apply")
                } else {
                    try await LedgerSetup.takingTurns(in: session) {
                        Self.report(try await ledger.apply(in: session), of: ledger, verb: "applied")
                        try await RunSchema.createPermanent(scripts.tables, in: session)
                    }
                }
                for table in scripts.tables where table.isPermanent {
                    print("table: \(table.name) \(isDryRun ? "would be created if it is missing" : "exists")")
                }
            }
            guard let kafka = context.kafka else {
                print("topics: skipped, because BDA_KAFKA_BOOTSTRAP_SERVERS is not set")
                return
            }
            let definitions = context.settings.topicDefinitions
            let existing = try await KafkaAdmin.withClient(configuration: kafka, logger: context.logger) {
                let existing = try await $0.topics(within: .seconds(12))
                if !isDryRun { _ = try await $0.ensureTopics(definitions, within: .seconds(30)) }
                return existing
            }
            for topic in definitions {
                let state = existing[topic.name] != nil ? "exists" : isDryRun ? "would be created" : "created"
                print("topic: \(topic.name) \(state)")
            }
        }
    }

    private static func report(_ changes: LedgerSetup.Changes, of ledger: LedgerSetup, verb: String) {
        for migration in changes.migrations {
            print("ledger: \(verb) migration \(migration.number) (\(migration.name))")
        }
        for function in changes.functions { print("ledger: \(verb) function bda.\(function.name)") }
        if changes.isEmpty {
            print("ledger: up to date at migration \(ledger.migrations.count) with \(ledger.functions.count) functions")
        }
    }
}

extension CoordinatorSettings {
    /// The topics that `setup` creates. Messages are deleted after the retention time; no topic is compacted.
    var topicDefinitions: [KafkaTopicDefinition] {
        let day = 86_400_000
        func topic(_ name: String, partitions: Int, days: Int) -> KafkaTopicDefinition {
            KafkaTopicDefinition(
                name: name, partitions: partitions,
                configuration: [
                    "cleanup.policy": "delete", "retention.ms": "\(days * day)", "max.message.bytes": "1048576",
                    // A broker refuses client timestamps that are an hour ahead, so it sets its own; `ce_time` has the
                    // client's.
                    "message.timestamp.type": "LogAppendTime",
                ])
        }
        return [
            topic(topics.jobs, partitions: jobsTopicPartitions, days: 3),
            topic(topics.events, partitions: 8, days: 30),
            topic(topics.runs, partitions: 1, days: 30),
            topic(topics.deadLetters, partitions: 1, days: 30),
        ]
    }
}

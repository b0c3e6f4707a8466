import Foundation
import Glibc
import JobModel
import Kafka
import Testing
import TestSupport

extension ScenarioRun {
    /// Ends the broker, which is started again much later: the run goes on meanwhile.
    func takeBrokerAway(_ fault: Scenario.Fault) async throws {
        try await untilBrokerIsBack()
        let seconds = FaultSettings.brokerAbsence ?? 20 + fault.choice % 21
        try await KeptServer.kafka.end(by: SIGKILL)
        brokerReturn = Task {
            // Not cancelled with the scenario: the next one needs the broker.
            try? await Task.sleep(for: .seconds(seconds))
            try await KeptServer.kafka.allowStart()
        }
        healings.append { try await self.untilBrokerIsBack() }
    }

    /// Waits for the broker if it was taken away.
    func untilBrokerIsBack() async throws {
        guard let brokerReturn else { return }
        try await brokerReturn.value
        try await untilBrokerAnswers()
        self.brokerReturn = nil
    }

    /// Takes the dead-letter topic away and sends messages that belong there. A client waits for a topic that it does not
    /// find, message by message.
    func refuseDeadLetters(_ fault: Scenario.Fault) async throws {
        try await untilBrokerIsBack()
        let forger = Forger(fleet)
        let topic = ["--topic", forger.topics.deadLetters]
        try await KafkaTool.run("kafka-topics.sh", ["--delete", "--if-exists"] + topic, in: fleet)
        healings.append {
            try await self.untilBrokerIsBack()
            try await KafkaTool.run("kafka-topics.sh", ["--create", "--if-not-exists"] + topic, in: self.fleet)
        }
        var generator = SeededGenerator(seed: scenario.seed &+ UInt64(fault.choice))
        for _ in 1...3 { try await forger.sendGarbage(&generator, to: [forger.topics.jobs, forger.topics.events]) }
    }

    func untilBrokerAnswers() async throws {
        let deadline = ContinuousClock.now + Self.limit
        while true {
            let admin = try await KafkaAdmin.make(configuration: fleet.kafka, logger: TestKafka.logger)
            let topics = try? await admin.topics(within: .seconds(5))
            try? await admin.close()
            if topics != nil { return }
            guard ContinuousClock.now < deadline else {
                throw Overdue(what: "the broker does not answer", limit: Self.limit, context: "")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

/// Apache Kafka's own tools, for what the programs never do to a topic.
enum KafkaTool {
    /// Runs one against the fleet's brokers.
    static func run(_ tool: String, _ arguments: [String], in fleet: Fleet) async throws {
        let servers = try #require(fleet.kafka.environment["BDA_KAFKA_BOOTSTRAP_SERVERS"])
        try await run(tool, arguments, servers: servers, in: fleet.folder)
    }

    static func run(_ tool: String, _ arguments: [String], servers: String, in folder: TemporaryFolder) async throws {
        let home = try #require(ProcessInfo.processInfo.environment["KAFKA_HOME"], "KAFKA_HOME is not set")
        let program = try Program(
            "\(home)/bin/\(tool)", ["--bootstrap-server", servers] + arguments,
            environment: Fleet.inherited.merging([
                "LOG_DIR": "\(folder.path)/kafka-log", "KAFKA_HEAP_OPTS": "-Xmx128m", "KAFKA_OPTS": "-XX:-UsePerfData",
            ]) { _, new in new }, name: "\(tool)-\(UUID().uuidString)", in: folder)
        try await program.succeeds(within: .seconds(60))
    }
}

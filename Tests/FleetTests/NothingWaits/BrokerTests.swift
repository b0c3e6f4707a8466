import Foundation
import Glibc
import JobModel
import Kafka
import Postgres
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite(.enabled(if: StoppableKafka.isAvailable, "KAFKA_HOME is not set")) struct BrokerTests {
        @Test("1: a broker that dies in mid-run and stays away holds no job back; its events are told when it is back")
        func brokerIsAway() async throws {
            let settings = ["BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "3", "BDA_DB_MAX_CONNS": "6"]
            try await Fleet.with(settings, isSetUp: false, scripts: Fleet.gatedInit) { fleet in
                let kafka = try await StoppableKafka(in: fleet.folder)
                defer { kafka.kill() }
                let brokers = ["BDA_KAFKA_BOOTSTRAP_SERVERS": kafka.servers]
                try await fleet.coordinator(["setup"], settings: brokers).succeeds()
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one", settings: brokers)
                let run = try fleet.run(settings: brokers)
                try await fleet.untilAtGate(worker)
                kafka.kill()
                // Old enough for the coordinator to tell the event itself, which it cannot.
                try await fleet.until(
                    """
                    EXISTS (SELECT FROM bda.result
                            WHERE event_sent_at IS NULL AND finished_at < clock_timestamp() - interval '15 seconds')
                    """, within: .seconds(90), run, worker)
                try await fleet.open(gate)
                // What needs the gated jobs is readied meanwhile, and the run is published.
                try await fleet.until("SELECT state = 'published' FROM bda.run", within: .seconds(45), run, worker)
                #expect(try await fleet.jobs("attempt > 1").isEmpty)
                let published = try await Export.latest(in: fleet.store)

                try await kafka.start()
                try await run.succeeds()
                #expect(try await fleet.newestRunEnding().state == "closed")
                #expect(try await Export.latest(in: fleet.store).run == published.run)
                let owed = try await fleet.session.execute(
                    """
                    SELECT count(*) FROM bda.result AS d JOIN bda.job AS j USING (job_id)
                    WHERE j.partition_no >= 0 AND d.event_sent_at IS NULL
                    """, action: "count the owed events")
                #expect(owed.firstValue == "0")
                try await fleet.drain(worker)
            }
        }

        @Test("3: messages that cannot be decoded, and a dead-letter topic that is missing, hold no slot up")
        func deadLetters() async throws {
            let settings = ["BDA_PARTITIONS": "2", "BDA_WORKER_SLOTS": "2"]
            try await Fleet.with(settings, scripts: Fleet.gatedInit) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                let forger = Forger(fleet)
                try await KafkaTool.run(
                    "kafka-topics.sh", ["--delete", "--topic", forger.topics.deadLetters], in: fleet)
                var generator = SeededGenerator(seed: 1)
                for _ in 1...3 { try await forger.sendGarbage(&generator, to: [forger.topics.jobs]) }
                try await fleet.open(gate)
                try await run.succeeds(within: .seconds(60))
                #expect(worker.errorText.contains("dead-letter topic"), worker.report)
                try await fleet.drain(worker)
            }
        }
    }
}

import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import TestSupport
import Testing
import CloudEventsKafka

extension WholeSystem {
    /// Schemas/validate.py checks with python-jsonschema what a fleet writes against docs/events and docs/manifest.
    @Suite struct SchemaTests {
        /// What validate.py says.
        private struct Answer: Decodable {
            var counts: [String: Int]
            var channels: [String: [String]]
            var problems: [String]
        }

        @Test("every message and manifest of a fleet is as its schema says, and a wrong one is refused")
        func schemas() async throws {
            // Its deadline was in the year of the sample.
            let settings = ["BDA_PARTITIONS": "2", "BDA_MAX_ATTEMPTS": "2", "BDA_DEADLINE": "06:00"]
            try await Fleet.with(settings) { fleet in
                let worker = try fleet.worker("one")
                try await fleet.run().succeeds()
                let failing = try fleet.run("--new", settings: try await failingScripts(fleet))
                #expect(try await failing.ended() == .exit(11), failing.report)
                let again = try fleet.run("--new")
                try await again.succeeds()
                try await fleet.drain(worker)

                let folder = "\(fleet.folder.path)/written"
                try await saveMessages(of: fleet)
                try await saveManifests(of: fleet)
                let answer = try await validate(folder, fleet)
                #expect(answer.problems.isEmpty, "\(answer.problems.prefix(20).joined(separator: "\n"))")
                let topics = Topics(prefix: "{prefix}")
                let types = [
                    topics.jobs: [JobRequested.type],
                    topics.events: [JobCompleted.type, JobFailed.type, JobStarted.type],
                    topics.runs: [RunCompleted.type, RunFailed.type, RunLate.type, RunStarted.type],
                ]
                #expect(Set(answer.counts.keys) == Set(types.values.joined() + ["dataset manifest", "run manifest"]))
                #expect(answer.counts["run manifest"] == 4 && answer.counts["dataset manifest"] == 16)
                #expect(answer.channels == types.merging([topics.deadLetters: ["unreadable"]]) { first, _ in first })
            }
        }

        /// The shipped scripts and a dataset whose first partition fails for good, at its second attempt.
        private func failingScripts(_ fleet: Fleet) async throws -> [String: String] {
            try await fleet.session.execute(
                """
                CREATE FUNCTION public.fail(charge_no text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40001', HINT = 'none'; END $$
                """, action: "make a function that fails")
            try fleet.folder.write(
                """
                -- Fails.
                -- @segment tripica.failing
                -- @reads   run
                -- @needs   tripica.data_charges
                -- @key     charge_no
                SELECT charge_no, business_date, CASE WHEN partition_no = 0 THEN public.fail(charge_no) END AS nothing
                FROM :"work".data_charges WHERE partition_no = :'partition'::integer ORDER BY charge_no COLLATE "C"

                """, to: "failing/archive/tripica_failing.sql")
            return ["BDA_SCRIPTS_DIR": "\(Fleet.scripts):\(fleet.folder.path)/failing"]
        }

        /// One file a message: topic, headers, value.
        private func saveMessages(of fleet: Fleet) async throws {
            struct Saved: Encodable {
                var topic: String
                var headers: [String: String]
                var value: String
            }
            let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
            func ids(_ condition: String) async throws -> Set<String> {
                Set(
                    try await fleet.session.execute(
                        "SELECT j.job_id FROM bda.job AS j WHERE \(condition)", action: "read the jobs"
                    ).rows.compactMap { $0[0] })
            }
            // What the ledger says must be on the wire, wherever the jobs were claimed from.
            var requested = try await ids("j.published_at IS NOT NULL")
            var ended = try await ids(
                "EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id) OR j.state = 'failed'")
            #expect(!requested.isEmpty && !ended.isEmpty)
            var completions = 0
            let messages =
                try await fleet.messages(of: topics.jobs) { message in
                    if let event = try? message.event(of: JobRequested.self) {
                        requested.remove(event.body.jobID.description)
                    }
                    return requested.isEmpty
                }
                + fleet.messages(of: topics.events) { message in
                    if let event = try? message.event(of: JobCompleted.self) {
                        ended.remove(event.body.jobID.description)
                    } else if let event = try? message.event(of: JobFailed.self), event.body.attempt == 2 {
                        ended.remove(event.body.jobID.description)
                    }
                    return ended.isEmpty
                }
                + fleet.messages(of: topics.runs) { message in
                    if message.header("ce_type")?.text == RunCompleted.type { completions += 1 }
                    return completions == 2
                }
            for (number, message) in messages.enumerated() {
                let saved = Saved(
                    topic: message.topic,
                    headers: Dictionary(uniqueKeysWithValues: message.headers.map { ($0.name, $0.text ?? "") }),
                    value: String(decoding: message.value, as: UTF8.self))
                let name = "written/messages/\(number).json"
                try fleet.folder.write(String(decoding: try JSONEncoder().encode(saved), as: UTF8.self), to: name)
            }
        }

        private func saveManifests(of fleet: Fleet) async throws {
            for key in try await fleet.keys() where key.hasPrefix("billing/acme/dev/manifests/") {
                let object = try #require(try await fleet.store.get(key, limit: 1 << 24))
                let name = "written/manifests/\(key.replacing("/", with: "_"))"
                try fleet.folder.write(String(decoding: object.bytes, as: UTF8.self), to: name)
            }
        }

        private func validate(_ folder: String, _ fleet: Fleet) async throws -> Answer {
            let python = ProcessInfo.processInfo.environment["BDA_TEST_PYTHON"] ?? "python3"
            let script = "\(Fleet.repository)/Tests/FleetTests/Schemas/validate.py"
            let program = try fleet.tool([python, script, "\(Fleet.repository)/docs", folder], name: "validate")
            try await program.succeeds()
            return try JSONDecoder().decode(Answer.self, from: Data(program.outputText.utf8))
        }
    }
}

import Foundation
import Glibc
import JobModel
import Kafka
import ObjectStore
import Postgres
import Settings
import Testing
import TestSupport

extension WholeSystem.NothingWaits {
    @Suite struct RightsTests {
        @Test("9: a password file that is rotated is read at the next connection, by worker and coordinator")
        func rotatedPassword() async throws {
            // A role of its own with the rights of the documented one, whose password other tests use at the same time.
            let name = "bda_test_rotating_\(UUID().uuidString.prefix(8).lowercased())"
            try await Fleet.with(["BDA_PARTITIONS": "2"], scripts: Fleet.gatedScripts()) { fleet in
                try await fleet.session.execute(
                    """
                    CREATE ROLE \(name) LOGIN INHERIT PASSWORD 'first-password'; GRANT billing_aggregator TO \(name)
                    """, action: "make a role")
                let result: Result<Void, any Error>
                do { result = .success(try await rotate(name, in: fleet)) } catch { result = .failure(error) }
                try await fleet.session.execute(
                    """
                    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '\(name)';
                    REASSIGN OWNED BY \(name) TO billing_aggregator; DROP OWNED BY \(name); DROP ROLE \(name)
                    """, action: "drop the role")
                try result.get()
            }
        }

        private func rotate(_ role: String, in fleet: Fleet) async throws {
            try fleet.folder.write("first-password\n", to: "password")
            let settings = [
                "BDA_DB_USER": role, "BDA_DB_PASSWORD": "", "BDA_DB_PASSWORD_FILE": "\(fleet.folder.path)/password",
            ]
            let gate = try await fleet.closeGate()
            let worker = try fleet.worker("one", settings: settings)
            let run = try fleet.run(settings: settings)
            try await fleet.untilAtGate(worker)
            try await fleet.session.execute(
                "ALTER ROLE \(role) PASSWORD 'second-password'", action: "rotate the password")
            try fleet.folder.write("second-password\n", to: "password")
            try await fleet.session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '\(role)'",
                action: "end all sessions")
            try await fleet.open(gate)
            try await run.succeeds()
            try await fleet.drain(worker)
        }

        @Test(
            "9: an upload that the store has dropped ends the attempt and not the job: the next attempt begins a new one"
        )
        func uploadIsGone() async throws {
            let settings = [
                "BDA_PARTITIONS": "1", "BDA_WORKER_SLOTS": "1", "BDA_MAX_ROW_SIZE_FILE": "40",
                "BDA_UPLOAD_PART_BYTES": "5242880",
            ]
            try await Fleet.with(settings, scripts: Fleet.gatedScripts()) { fleet in
                let gate = try await fleet.closeGate()
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                try await fleet.untilAtGate(worker)
                var uploads: [PendingUpload] = []
                try await fleet.until("an upload is begun", [worker]) {
                    uploads = try await fleet.store.pendingUploads(prefix: "billing/acme/dev/tripica/gated/")
                    return !uploads.isEmpty
                }
                // As a lifecycle rule of the bucket does.
                for upload in uploads { try await fleet.store.abort(upload) }
                try await fleet.open(gate)
                try await run.succeeds()
                let again = try await fleet.jobs("attempt > 1")
                #expect(again.count == 1, worker.report)
                #expect(try await fleet.attempts(of: again.first ?? "") == ["retry", "completed"], worker.report)
                try await fleet.drain(worker)
            }
        }

        @Test("9: a right that is missing is no reason to schedule the run again, and is named")
        func missingRight() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                try await fleet.session.execute(
                    "REVOKE SELECT ON datalake_vault.hub_charge FROM billing_aggregator", action: "take a right away")
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                guard case .exit(let code) = try await run.ended() else {
                    Issue.record("it did not exit by itself")
                    return
                }
                #expect([2, 11].contains(code), run.report)
                #expect(run.errorText.contains("hub_charge"), run.report)
                try await fleet.drain(worker)
            }
        }

        @Test(
            "9: a worker whose topics were made anew reads them again, without being started again",
            .enabled(if: StoppableKafka.isAvailable, "KAFKA_HOME is not set"))
        func topicsMadeAnew() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"]) { fleet in
                let topics = Topics(prefix: try #require(fleet.environment["BDA_TOPIC_PREFIX"]))
                let worker = try fleet.worker("one")
                let assigned = "Kafka partitions assigned"
                try await fleet.until("the worker has partitions", [worker]) { worker.errorText.contains(assigned) }
                try await KafkaTool.run("kafka-topics.sh", ["--delete", "--topic", topics.jobs], in: fleet)
                try await fleet.coordinator(["setup"]).succeeds()
                let forger = Forger(fleet)
                var generator = SeededGenerator(seed: 1)
                let heard = worker.errorText.components(separatedBy: "cannot be read and goes").count
                try await fleet.until("the worker hears messages again", within: .seconds(90), [worker]) {
                    // Messages to a topic that was just made are refused at first, and the first ones may go by unread.
                    try? await forger.sendGarbage(&generator, to: [topics.jobs])
                    return worker.errorText.components(separatedBy: "cannot be read and goes").count > heard
                }
                try await fleet.run().succeeds()
                try await fleet.drain(worker)
            }
        }

        @Test("9: the log of a failing run names the job and no cancellation of the program's own")
        func failingRun() async throws {
            let script = """
                -- Divides by zero.
                -- @segment tripica.broken
                -- @needs   tripica.data_charges
                -- @reads   run
                -- @key     charge_no
                SELECT charge_no, :'business_date'::date AS business_date, 1 / (length(charge_no) - length(charge_no)) AS x
                FROM :"work".data_charges WHERE partition_no = :'partition'::integer ORDER BY charge_no COLLATE "C"

                """
            try await Fleet.with(["BDA_PARTITIONS": "1"], scripts: ["archive/tripica_broken.sql": script]) { fleet in
                let worker = try fleet.worker("one")
                let run = try fleet.run()
                #expect(try await run.ended() == .exit(11), run.report)
                #expect(run.errorText.contains("tripica.broken"), run.report)
                #expect(!run.errorText.contains("CancellationError"), run.report)
                #expect(!run.errorText.contains("take the jobs from the ledger"), run.report)
                try await fleet.drain(worker)
            }
        }

        @Test("9: an open run without a coordinator makes a worker warn once, and not every few seconds")
        func openRunWithoutCoordinator() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "1"]) { fleet in
                try await fleet.session.execute(Laboratory.locks, action: "make the locks")
                let gate = try await PostgresSession.connect(fleet.administrator, purpose: "gate")
                try await gate.execute("SELECT pg_advisory_lock(\(Moment.graph.lock))", action: "close the gate")
                let run = try fleet.run()
                try await fleet.until(Fleet.waits("bda coordinator%"), run)
                run.kill()
                try await fleet.untilGone("bda coordinator%")
                await gate.close()
                // Its snapshot went with the coordinator, before any worker could keep it.
                let worker = try fleet.worker("one")
                let start = try await fleet.session.execute("SELECT clock_timestamp()", action: "look").firstValue ?? ""
                try await fleet.until("SELECT clock_timestamp() > timestamptz '\(start)' + interval '17 seconds'")
                var counts: [String: Int] = [:]
                for line in worker.errorText.split(separator: "\n") where line.lowercased().contains("warn") {
                    // Without its time.
                    counts[line.split(separator: " ").dropFirst().prefix(8).joined(separator: " "), default: 0] += 1
                }
                #expect(counts.values.allSatisfy { $0 <= 2 }, "\(counts)")
                try await fleet.run().succeeds()
                try await fleet.drain(worker)
            }
        }

        @Test("9: clean names the schemas of runs that the ledger does not know, and leaves them")
        func unknownSchemas() async throws {
            try await Fleet.with(sample: false) { fleet in
                let role = try await PostgresSession.connect(fleet.role, purpose: "earlier installation")
                try await role.execute("CREATE SCHEMA bda_run_20250101t000000000z_aaaa", action: "make a schema")
                await role.close()
                let clean = try fleet.coordinator(["clean"])
                try await clean.succeeds()
                #expect(
                    (clean.outputText + clean.errorText).contains("bda_run_20250101t000000000z_aaaa"), clean.report)
                try await fleet.coordinator(["clean", "--apply"]).succeeds()
                let left = try await fleet.session.execute(
                    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bda\\_run\\_%'", action: "look for schemas")
                #expect(left.firstValue == "1")
            }
        }
    }
}

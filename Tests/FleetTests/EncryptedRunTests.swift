import Foundation
import JobModel
import Kafka
import ObjectStore
import Postgres
import Testing
import TestSupport

extension WholeSystem {
    /// Every connection with TLS and checked certificates, and what must not be found anywhere afterwards.
    @Suite(
        .enabled(
            if: TestKafka.SecureListener.areExpected, .init(rawValue: TestKafka.SecureListener.skipReason)),
        .enabled(if: TestCertificates.areAvailable, "scripts/dev/test.sh makes the certificates"))
    struct EncryptedRunTests {
        /// The settings below a line of the README's section, with the names and files of the tests' servers in them.
        private static func readme(_ title: String) throws -> [String: String] {
            let text = try String(contentsOfFile: "\(Fleet.repository)/README.md", encoding: .utf8)
            let lines = text.split(separator: "\n").drop { $0 != "    # \(title)" }.dropFirst()
                .prefix { $0.hasPrefix("    export ") }
            try #require(!lines.isEmpty, "the README has no '\(title)'")
            let pairs = lines.flatMap { $0.split(separator: " ").dropFirst() }.map { pair in
                let halves = pair.split(separator: "=", maxSplits: 1).map(String.init)
                return (halves[0], halves[1])
            }
            return try Dictionary(uniqueKeysWithValues: pairs).mapValues { value in
                value.replacing("/etc/bda/", with: TestCertificates.path(""))
                    .replacing("db.example.com", with: "localhost")
                    .replacing("https://s3.example.com", with: try TestObjectStore.secureEndpoint())
            }
        }

        /// Everything but Kafka.
        private static func settings() throws -> [String: String] {
            try readme("PostgreSQL").merging(readme("S3 with your own certificate authority")) { $1 }
        }

        private static let noLogIn = Dictionary(
            uniqueKeysWithValues: ["SASL_MECHANISM", "SASL_USERNAME", "SASL_PASSWORD"].map { ("BDA_KAFKA_\($0)", "") })

        @Test(
            "a whole date by the README's settings, encrypted everywhere, leaves no secret in logs, ledger, messages or files"
        )
        func encryptedRun() async throws {
            let user = TestKafka.SecureListener.user(by: "PLAIN")
            let logIn = try TestKafka.SecureListener.logIn.configuration(user)
            let certificate = try TestKafka.SecureListener.mutualTLS.configuration()
            // All that librdkafka can say about settings and log-in.
            let settings = try Self.settings().merging(["BDA_KAFKA_DEBUG": "conf,security"]) { $1 }
            try await Fleet.with(settings, kafka: logIn) { fleet in
                // The coordinator and one worker log in by a password, another by a certificate whose key is encrypted.
                try fleet.folder.write(user["sasl.password"] ?? "", to: "kafka")
                let password = try Self.noLogIn.merging(Self.readme("Kafka: user and password")) { $1 }
                    .merging(["BDA_KAFKA_SASL_PASSWORD_FILE": "\(fleet.folder.path)/kafka"]) { $1 }
                let address = ["BDA_KAFKA_BOOTSTRAP_SERVERS": certificate.bootstrapServers]
                let key = try Self.noLogIn.merging(Self.readme("Kafka: client certificate")) { $1 }
                    .merging(address) { $1 }
                let workers = (
                    try fleet.worker("password", settings: password), try fleet.worker("certificate", settings: key)
                )
                let run = try fleet.run(settings: password)
                try await fleet.until(
                    "SELECT count(DISTINCT worker_id) = 2 FROM bda.job WHERE state = 'done'", run, workers.0, workers.1)
                try await Self.expectEncryptedSessions(fleet)
                try Self.expectNoSecretInProcessList(fleet)
                try await run.succeeds()
                let export = try await Export.latest(in: fleet.store)
                #expect(export.run.datasets.count == 8)
                try await fleet.coordinator(["verify", try #require(Self.manifest(in: run.outputText), run.report)])
                    .succeeds()
                try await fleet.coordinator(["status", "--json", "--date", SampleWarehouse.date]).succeeds()
                try await fleet.drain(workers.0, workers.1)
                // They did say what they were set to.
                #expect(run.errorText.contains("sasl.password") && workers.1.errorText.contains("ssl.key.password"))
                try await Self.expectNoSecretInLedger(fleet)
                try await Self.expectNoSecretInStore(fleet)
                try await Self.expectNoSecretInMessages(fleet)
            }
        }

        @Test("a token in a file, by the README's settings, is enough for setup, worker and run")
        func token() async throws {
            let token = try TestKafka.SecureListener.unsignedToken(validFor: 3600)
            let logIn = try TestKafka.SecureListener.logIn.configuration(TestKafka.SecureListener.user(by: "PLAIN"))
            try await Fleet.with(try Self.settings(), kafka: logIn) { fleet in
                try fleet.folder.write(token, to: "token")
                let settings = try Self.noLogIn.merging(
                    Self.readme("Kafka: token (JWT) in a file that Kubernetes or an agent renews")
                ) { $1 }
                .merging(["BDA_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION": "\(fleet.folder.path)/token"]) { $1 }
                try await fleet.coordinator(["setup"], settings: settings).succeeds()
                let worker = try fleet.worker("worker", settings: settings)
                let run = try fleet.run("--systems", "bookkeeper", settings: settings)
                try await run.succeeds()
                try await fleet.drain(worker)
                for program in [run, worker] { #expect(!program.errorText.contains(token), program.report) }
            }
        }

        @Test("a certificate that cannot be trusted ends each program with its exit code and the setting to look at")
        func untrusted() async throws {
            let stranger = TestCertificates.path("stranger-ca.pem")
            let logIn = try TestKafka.SecureListener.logIn.configuration(TestKafka.SecureListener.user(by: "PLAIN"))
            try await Fleet.with(try Self.settings(), sample: false, kafka: logIn) { fleet in
                let mistakes: [(settings: [String: String], exitCode: Int32, word: String)] = [
                    (["BDA_DB_SSLROOTCERT": stranger], 20, "BDA_DB_SSLROOTCERT"),
                    (["BDA_DB_HOST": "127.0.0.1"], 20, "BDA_DB_HOST"),
                    (["BDA_KAFKA_SSL_CA_LOCATION": stranger], 2, "BDA_KAFKA_SSL_CA_LOCATION"),
                    (["BDA_KAFKA_SASL_PASSWORD": "wrong-6317"], 2, "BDA_KAFKA_SASL_PASSWORD"),
                    (["AWS_CA_BUNDLE": stranger], 2, "AWS_CA_BUNDLE"),
                    (["AWS_CA_BUNDLE": ""], 2, "AWS_CA_BUNDLE"),
                    (["BDA_DB_SSLMODE": "prefer"], 2, "BDA_DB_SSLMODE=verify-full"),
                ]
                for mistake in mistakes {
                    for program in [
                        try fleet.run(settings: mistake.settings),
                        try fleet.worker("worker", settings: mistake.settings),
                    ] {
                        let ending = try await program.ended(within: .seconds(30))
                        #expect(ending == .exit(mistake.exitCode), program.report)
                        #expect(program.errorText.contains(mistake.word), program.report)
                    }
                }
            }
        }

        private static func manifest(in output: String) -> String? {
            output.split(separator: "\n").first { $0.hasPrefix("manifest: ") }.map { String($0.dropFirst(10)) }
        }

        private static func expectEncryptedSessions(_ fleet: Fleet) async throws {
            let sessions = try await fleet.session.execute(
                """
                SELECT a.application_name, s.ssl, a.usename FROM pg_stat_activity AS a JOIN pg_stat_ssl AS s USING (pid)
                WHERE a.datname = current_database() AND a.application_name LIKE 'bda %' AND a.client_addr IS NOT NULL
                """, action: "look at the sessions"
            ).rows
            #expect(sessions.count >= 4)
            #expect(sessions.allSatisfy { $0[1] == "t" && $0[2] == "billing_aggregator" }, "\(sessions)")
        }

        /// What `ps` shows to every user of the machine.
        private static func expectNoSecretInProcessList(_ fleet: Fleet) throws {
            var programs = 0
            for number in try FileManager.default.contentsOfDirectory(atPath: "/proc") where pid_t(number) != nil {
                let bytes = FileManager.default.contents(atPath: "/proc/\(number)/cmdline") ?? Data()
                let line = String(decoding: bytes, as: UTF8.self)
                guard line.contains("/bda-") else { continue }
                programs += 1
                fleet.expectNoSecret(in: line, "the command line of process \(number)")
            }
            #expect(programs >= 2)
        }

        private static func expectNoSecretInLedger(_ fleet: Fleet) async throws {
            let tables = try await fleet.session.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('bda', 'report_oibl')",
                action: "list the ledger's tables"
            ).rows.compactMap { $0[0] }
            #expect(tables.count > 10)
            for table in tables {
                let rows = try await fleet.session.execute(
                    "SELECT string_agg(t::text, E'\\n') FROM \(table) AS t", action: "read \(table)"
                ).firstValue
                fleet.expectNoSecret(in: rows ?? "", table)
            }
        }

        private static func expectNoSecretInStore(_ fleet: Fleet) async throws {
            let keys = try await fleet.keys()
            #expect(keys.contains { $0.hasSuffix("/run.json") } && keys.contains { $0.hasSuffix(".csv") })
            for key in keys {
                let object = try #require(try await fleet.store.get(key, limit: 1 << 26), "'\(key)' is gone")
                fleet.expectNoSecret(in: key + String(decoding: object.bytes, as: UTF8.self), key)
            }
        }

        private static func expectNoSecretInMessages(_ fleet: Fleet) async throws {
            let topics = Topics(prefix: fleet.environment["BDA_TOPIC_PREFIX"] ?? "")
            let jobs = try await fleet.session.execute("SELECT count(*) FROM bda.job", action: "count the jobs")
            let count = try #require(jobs.firstValue.flatMap { Int($0) })
            var completed = 0
            let messages =
                try await fleet.messages(of: topics.jobs) { _ in true }
                + fleet.messages(of: topics.events) {
                    completed += $0.header("ce_type")?.text == JobCompleted.type ? 1 : 0
                    return completed == count
                }
                + fleet.messages(of: topics.runs) { $0.header("ce_type")?.text == RunCompleted.type }
            for message in messages {
                let headers = message.headers.map { "\($0.name): \($0.text ?? "")" }.joined(separator: "\n")
                fleet.expectNoSecret(in: headers + String(decoding: message.value, as: UTF8.self), message.topic)
            }
        }
    }
}

import Foundation
import JobModel
import Postgres
import Testing

extension WholeSystem {
    @Suite struct BadInputTests {
        /// What somebody did wrong, and how it must be answered.
        private struct Mistake: Sendable {
            var what: String
            var program = "run"
            var arguments: [String] = ["--date", SampleWarehouse.date]
            var settings: [String: String] = [:]
            var exitCode: Int32
            /// All of which must be said.
            var words: [String]
        }

        private static let noKafka = ["BDA_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"]
        private static let noDatabase = ["BDA_DB_PORT": "1"]
        private static let wrongPassword = ["BDA_DB_PASSWORD": "wrong-6317"]
        private static let noBucket = ["BDA_OUTPUT": "", "BDA_S3_BUCKET": "no-such-bucket"]
        private static let noStore = ["BDA_S3_ENDPOINT": "http://127.0.0.1:1"]

        private static let mistakes: [Mistake] =
            ["run", "worker"].flatMap { program in
                [
                    Mistake(
                        what: "no Kafka", program: program, settings: noKafka, exitCode: 21,
                        words: ["BDA_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"]),
                    Mistake(
                        what: "no database", program: program, settings: noDatabase, exitCode: 20,
                        words: ["BDA_DB_HOST", "BDA_DB_PORT", "127.0.0.1:1"]),
                    Mistake(
                        what: "a wrong password", program: program, settings: wrongPassword, exitCode: 2,
                        words: ["BDA_DB_PASSWORD", "billing_aggregator", "127.0.0.1:"]),
                    Mistake(
                        what: "no bucket", program: program, settings: noBucket, exitCode: 2,
                        words: ["BDA_S3_BUCKET", "no-such-bucket"]),
                    Mistake(
                        what: "no store", program: program, settings: noStore, exitCode: 22,
                        words: ["BDA_S3_ENDPOINT", "127.0.0.1 port 1"]),
                    Mistake(
                        what: "a setting out of range", program: program,
                        settings: ["BDA_LEASE_SECONDS": "0", "BDA_DB_PORT": "x", "BDA_ENVIRONMENT": "prd"], exitCode: 2,
                        words: program == "run"
                            ? ["BDA_DB_PORT", "'x'", "1 to 65535", "BDA_ENVIRONMENT", "prd", "prod"]
                            : ["BDA_LEASE_SECONDS", "'0'", "1 to 3600", "BDA_DB_PORT", "BDA_ENVIRONMENT"]),
                    Mistake(
                        what: "no topics", program: program, settings: ["BDA_TOPIC_PREFIX": "nobodys."], exitCode: 3,
                        words: ["nobodys.bda.jobs.v1", "bda-coordinator setup"]),
                    Mistake(
                        what: "no ledger", program: program, settings: ["BDA_DB_NAME": "postgres"], exitCode: 3,
                        words: ["ledger", "postgres", "bda-coordinator setup"]),
                ]
            } + [
                Mistake(
                    what: "an unknown system",
                    arguments: ["--date", SampleWarehouse.date, "--systems", "tripica,tripca"], exitCode: 2,
                    words: ["--systems", "'tripca'", "bookkeeper, tripica"]),
                Mistake(
                    what: "an unknown system by setting", settings: ["BDA_SYSTEMS": "sap"], exitCode: 2,
                    words: ["BDA_SYSTEMS", "'sap'"]),
                Mistake(
                    what: "a date in the future", arguments: ["--date", "2999-01-01"], exitCode: 2,
                    words: ["--date", "2999-01-01", "Europe/Berlin"]),
                Mistake(
                    what: "no date", arguments: ["--date", "2026-02-30"], exitCode: 2, words: ["--date", "2026-02-30"]),
                Mistake(
                    what: "no rows in a file", settings: ["BDA_MAX_ROW_SIZE_FILE": "0"], exitCode: 2,
                    words: ["BDA_MAX_ROW_SIZE_FILE", "'0'", "1 to 1000000000"]),
                Mistake(
                    what: "scripts that cannot be read", settings: ["BDA_SCRIPTS_DIR": "/nowhere/scripts"], exitCode: 2,
                    words: ["BDA_SCRIPTS_DIR", "/nowhere/scripts"]),
                Mistake(
                    what: "a misspelt option", arguments: ["--dat", SampleWarehouse.date], exitCode: 2,
                    words: ["--dat", "--date"]),
            ]

        @Test("each mistake is answered within 30 seconds by its exit code and a message that names what is wrong")
        func mistakes() async throws {
            try await Fleet.with(["BDA_LOG_LEVEL": "info"], sample: false) { fleet in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for mistake in Self.mistakes { group.addTask { try await Self.check(mistake, in: fleet) } }
                    try await group.waitForAll()
                }
                #expect(try await fleet.keys().isEmpty)
                let runs = try await fleet.session.execute("SELECT count(*) FROM bda.run", action: "count the runs")
                #expect(runs.firstValue == "0")
            }
        }

        private static func check(_ mistake: Mistake, in fleet: Fleet) async throws {
            let program =
                if mistake.program == "worker" {
                    try fleet.worker("worker", settings: mistake.settings)
                } else {
                    try fleet.coordinator(["run"] + mistake.arguments, settings: mistake.settings)
                }
            let ending = try await program.ended(within: .seconds(30))
            let said = program.errorText
            #expect(ending == .exit(mistake.exitCode), "\(mistake.what): \(program.report)")
            for word in mistake.words {
                #expect(said.contains(word), "\(mistake.what): no '\(word)' in \(program.report)")
            }
            for word in ["wrong-6317", "Fatal error", "Stack dump", "Backtrace", "this is a bug"] {
                #expect(!said.contains(word), "\(mistake.what): \(program.report)")
            }
        }

        @Test("all that is wrong with scripts is said at once, before anything is started")
        func scripts() async throws {
            let query = "SELECT 1 AS id, :'business_date'::date AS business_date ORDER BY 1\n"
            let header = "-- @reads run\n-- @key id\n-- @split none\n"
            let insert =
                "-- @reads run\n-- @writes data_write_offs\n-- @split none\nINSERT INTO :\"work\".data_write_offs SELECT\n"
            let scripts = [
                "archive/need.sql": "-- @segment tripica.need\n-- @needs tripica.nobody\n\(header)\(query)",
                "archive/clock.sql":
                    "-- @segment tripica.clock\n\(header)SELECT 1 AS id, date 'yesterday' AS business_date ORDER BY 1\n",
                "init/ending.sql":
                    "-- @segment tripica.ending\n-- @reads run\n-- @writes data_charges\nSELECT 1; COMMIT\n",
                "init/circle_a.sql": "-- @segment tripica.circle_a\n-- @needs tripica.circle_b\n\(insert)",
                "init/circle_b.sql": "-- @segment tripica.circle_b\n-- @needs tripica.circle_a\n\(insert)",
                "prechecks/tag.sql":
                    "-- @segment tripica.tag\n-- @reads vault\n-- @severity error\n-- @hint none\n-- @sevrity warn\nSELECT 1\n",
            ]
            try await Fleet.with(sample: false, isSetUp: false, scripts: scripts) { fleet in
                for arguments in [["run", "--date", SampleWarehouse.date], ["check"], ["setup"]] {
                    let program = try fleet.coordinator(arguments)
                    #expect(try await program.ended(within: .seconds(30)) == .exit(2), program.report)
                    for word in [
                        "'tripica.need' needs 'tripica.nobody'", "archive/clock.sql", "'yesterday'", "init/ending.sql",
                        "COMMIT",
                        "tripica.circle_a", "tripica.circle_b", "prechecks/tag.sql:5", "@sevrity",
                    ] {
                        #expect(program.errorText.contains(word), "no '\(word)' in \(program.report)")
                    }
                }
                let made = try await fleet.session.execute(
                    "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bda%'", action: "look for a ledger"
                ).firstValue
                #expect(made == "0")
            }
        }
    }
}

import Foundation

/// One setting: its name in the environment, what it may be, and what it means. `catalogue` has all of them.
package struct SettingDefinition: Sendable {
    /// What a setting's value may be.
    package enum Kind: Sendable, Hashable {
        /// Any text.
        case text
        /// A word that is safe in object keys, topics and schema names.
        case name
        /// A whole number.
        case integer(ClosedRange<Int>)
        /// `true` or `false`.
        case boolean
        /// Texts, separated by commas.
        case list
        /// One of a few words.
        case choice([String])
        /// `HH:MM`.
        case timeOfDay
        /// A name of the IANA time zone database.
        case timeZone
        /// A URL of one of these schemes, without user or password.
        case url(schemes: [String])
        /// A text that is never printed.
        case secret
    }

    /// What a setting belongs to, as a heading of the reference table.
    enum Section: String, CaseIterable {
        case identity = "Who and where"
        case run = "Run"
        case worker = "Worker"
        case database = "Warehouse (PostgreSQL)"
        case kafka = "Kafka"
        case store = "Object store and files"
        case operation = "Logs and health"
    }

    /// The environment variable.
    package let name: String
    /// What its value may be.
    package let kind: Kind
    /// What holds when it is not set; nil if nothing does.
    package let defaultValue: String?
    /// What happens without a value, in words, where there is no default.
    package let without: String?
    /// What it is for, in one line.
    package let meaning: String
    /// Where it stands in the reference table.
    let section: Section
    /// Whether `<name>_FILE` may name a file that holds the value.
    package let hasFile: Bool

    private init(
        _ name: String, _ kind: Kind, default defaultValue: String? = nil, without: String? = nil,
        hasFile: Bool = false,
        in section: Section, _ meaning: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.without = without
        self.hasFile = hasFile
        self.section = section
        self.meaning = meaning
    }

    /// Whether its value is never printed.
    package var isSecret: Bool { kind == .secret }

    /// What its value may be, in words.
    package var allowed: String {
        switch kind {
        case .text: "a text"
        case .name: "letters, digits, '-', '_' and '.', at most 128"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .boolean: "true or false"
        case .list: "texts separated by commas"
        case .choice(let words): words.joined(separator: ", ")
        case .timeOfDay: "a time of day as HH:MM, from 00:00 to 23:59"
        case .timeZone: "a time zone such as Europe/Berlin or UTC"
        case .url(let schemes): schemes.map { "\($0)://…" }.joined(separator: " or ") + " without user and password"
        case .secret: "a text"
        }
    }

    /// Whether `value` is allowed.
    func accepts(_ value: String) -> Bool {
        switch kind {
        case .text, .secret: return true
        case .name:
            return value.utf8.count <= 128 && value.contains { $0 != "." }
                && value.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                    default: "-_.".utf8.contains(byte)
                    }
                }
        case .integer(let range): return Int(value).map(range.contains) ?? false
        case .boolean: return value == "true" || value == "false"
        case .list: return !Self.elements(of: value).isEmpty
        case .choice(let words): return words.contains(value)
        case .timeOfDay:
            let fields = value.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 2, value.utf8.count == 5, value.utf8.allSatisfy({ (0x30...0x3A).contains($0) }),
                let hour = Int(fields[0]), let minute = Int(fields[1])
            else { return false }
            return hour < 24 && minute < 60
        case .timeZone: return TimeZone(identifier: value) != nil
        case .url(let schemes):
            return schemes.contains { value.hasPrefix("\($0)://") && value.utf8.count > $0.utf8.count + 3 }
                && !value.utf8.contains(UInt8(ascii: "@")) && !value.contains { $0.isWhitespace }
        }
    }

    /// The texts of a list, without the spaces around them and without empty ones.
    static func elements(of value: String) -> [String] {
        value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// The definition of a setting. A name that is not in the catalogue is a bug of the caller.
    static func named(_ name: String) -> SettingDefinition {
        guard let definition = byName[name] else { preconditionFailure("\(name) is not in the catalogue of settings") }
        return definition
    }

    /// Every setting by its name.
    static let byName = Dictionary(uniqueKeysWithValues: catalogue.map { ($0.name, $0) })

    /// Every setting, in the order of the reference table.
    package static let catalogue: [SettingDefinition] = [
        SettingDefinition(
            "BDA_CLIENT_ID", .name, without: "required", in: .identity, "the utility whose billing data this is"),
        SettingDefinition(
            "BDA_ENVIRONMENT", .choice(["dev", "stage", "prod"]), without: "required", in: .identity,
            "part of every object key and event, so that environments never mix"),
        SettingDefinition(
            "BDA_SYSTEMS", .list, default: "tripica,bookkeeper", in: .identity,
            "the systems to export; oibl is added when both of these are selected"),
        SettingDefinition(
            "BDA_TIME_ZONE", .timeZone, default: "Europe/Berlin", in: .identity,
            "the time zone of business dates, cut-off and deadline"),

        SettingDefinition(
            "BDA_CUTOFF_TIME", .timeOfDay, default: "05:00", in: .run,
            "local time of the day after the business date up to which loads count"),
        SettingDefinition(
            "BDA_DEADLINE", .timeOfDay, without: "no deadline", in: .run,
            "local time of the day after the business date; a run that is not done by then is announced as late"),
        SettingDefinition(
            "BDA_PARTITIONS", .integer(1...1024), default: "16", in: .run,
            "customer buckets of a new run: how many jobs a partitioned segment makes"),
        SettingDefinition(
            "BDA_SCRIPTS_DIR", .text, default: "scripts", in: .run, "the folder of the SQL scripts"),
        SettingDefinition(
            "BDA_MAX_ATTEMPTS", .integer(1...100), default: "5", in: .run,
            "tries at one job before the run fails"),
        SettingDefinition(
            "BDA_RETRY_BASE_SECONDS", .integer(1...3600), default: "5", in: .run,
            "wait before the second try; it doubles with each further one"),
        SettingDefinition(
            "BDA_RETRY_MAX_SECONDS", .integer(1...86_400), default: "300", in: .run, "longest wait between two tries"),
        SettingDefinition(
            "BDA_JOB_TIMEOUT_SECONDS", .integer(1...86_400), default: "3600", in: .run,
            "an attempt that takes longer is stopped and tried again"),
        SettingDefinition(
            "BDA_WORKER_WAIT_SECONDS", .integer(1...86_400), default: "600", in: .run,
            "a run fails when no worker took a job for this long"),
        SettingDefinition(
            "BDA_RUN_TIMEOUT_SECONDS", .integer(1...604_800), default: "14400", in: .run,
            "a run that takes longer fails"),
        SettingDefinition(
            "BDA_SCHEMA_DRIFT", .choice(["fail", "warn"]), default: "fail", in: .run,
            "what to do when a dataset's columns differ from those of the last published run"),
        SettingDefinition(
            "BDA_HISTORY_DAYS", .integer(0...36_500), default: "0", in: .run,
            "days that the history tables keep; 0 keeps all"),
        SettingDefinition(
            "BDA_RETENTION_DAYS", .integer(0...36_500), default: "0", in: .run,
            "days after which `clean` removes exports and ledger rows; 0 keeps all"),

        SettingDefinition(
            "BDA_WORKER_ID", .name, without: "host name and process id", in: .worker,
            "the worker's name in ledger, events and logs"),
        SettingDefinition(
            "BDA_WORKER_SLOTS", .integer(1...64), default: "2", in: .worker,
            "jobs at a time; needs two database connections more than slots"),
        SettingDefinition(
            "BDA_LEASE_SECONDS", .integer(1...3600), default: "30", in: .worker,
            "a job whose worker was silent for this long may be taken over"),
        SettingDefinition(
            "BDA_DRAIN_SECONDS", .integer(0...3600), default: "30", in: .worker,
            "how long running jobs may go on after SIGTERM; less than the grace period of the platform"),

        SettingDefinition(
            "BDA_DB_HOST", .text, without: "required", in: .database,
            "the server; one that begins with '/' is the folder of a socket"),
        SettingDefinition("BDA_DB_PORT", .integer(1...65_535), default: "5432", in: .database, "its port"),
        SettingDefinition("BDA_DB_NAME", .text, default: "octopus", in: .database, "the database"),
        SettingDefinition("BDA_DB_USER", .text, default: "billing_aggregator", in: .database, "the role"),
        SettingDefinition(
            "BDA_DB_PASSWORD", .secret, without: "no password", hasFile: true, in: .database, "the role's password"),
        SettingDefinition(
            "BDA_DB_SSLMODE",
            .choice(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]), default: "prefer",
            in: .database, "libpq's sslmode; verify-full is the safe one"),
        SettingDefinition(
            "BDA_DB_SSLROOTCERT", .text, without: "libpq's own", in: .database,
            "file of the certificate authorities that may have signed the server's certificate"),
        SettingDefinition(
            "BDA_DB_CONNECT_TIMEOUT_SECONDS", .integer(1...600), default: "10", in: .database,
            "how long to wait for each address of the host"),
        SettingDefinition(
            "BDA_DB_MAX_CONNS", .integer(1...1000), default: "4", in: .database,
            "most connections of one process"),

        SettingDefinition(
            "BDA_KAFKA_BOOTSTRAP_SERVERS", .text, without: "required", in: .kafka, "host:port, separated by commas"),
        SettingDefinition(
            "BDA_KAFKA_SASL_PASSWORD", .secret, without: "no password", hasFile: true, in: .kafka,
            "librdkafka's sasl.password"),
        SettingDefinition(
            "BDA_KAFKA_SSL_KEY_PASSWORD", .secret, without: "no password", hasFile: true, in: .kafka,
            "librdkafka's ssl.key.password"),
        SettingDefinition(
            "BDA_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION", .text, without: "librdkafka's own ways", in: .kafka,
            "file of a token (JWT) for OAUTHBEARER that somebody keeps fresh; it is read again before it expires"),
        SettingDefinition(
            "BDA_TOPIC_PREFIX", .name, without: "no prefix", in: .kafka,
            "stands before the topics' names, such as acme. for acme.bda.jobs.v1"),
        SettingDefinition(
            "BDA_JOBS_TOPIC_PARTITIONS", .integer(1...1024), default: "64", in: .kafka,
            "partitions of the jobs topic when `setup` makes it: the most workers that messages can reach at once"),

        SettingDefinition(
            "BDA_OUTPUT", .url(schemes: ["s3", "file"]), without: "s3://$BDA_S3_BUCKET", in: .store,
            "where files and manifests go"),
        SettingDefinition(
            "BDA_OUTPUT_PREFIX", .text, default: "billing", in: .store, "what every object key begins with"),
        SettingDefinition(
            "BDA_MAX_ROW_SIZE_FILE", .integer(1...1_000_000_000), default: "1000000", in: .store,
            "most rows of one CSV file"),
        SettingDefinition(
            "BDA_COMPRESSION", .choice(["none", "gzip", "zstd"]), default: "none", in: .store,
            "how CSV files are compressed"),
        SettingDefinition(
            "BDA_COMPRESSION_LEVEL", .integer(1...19), without: "the method's own", in: .store,
            "1 is fast; gzip goes to 9, zstd to 19"),
        SettingDefinition(
            "BDA_UPLOAD_PART_BYTES", .integer(5_242_880...1_073_741_824), default: "8388608", in: .store,
            "bytes of one part of a multipart upload; a slot holds a fixed number of them in memory"),
        SettingDefinition(
            "BDA_S3_BUCKET", .name, without: "required unless BDA_OUTPUT is set", in: .store, "the bucket"),
        SettingDefinition("BDA_S3_REGION", .name, default: "eu-central-1", in: .store, "its region"),
        SettingDefinition(
            "BDA_S3_ENDPOINT", .url(schemes: ["https", "http"]), without: "Amazon's", in: .store,
            "the server of a compatible store; AWS_CA_BUNDLE is the file of its certificate authorities"),
        SettingDefinition(
            "BDA_S3_PATH_STYLE", .boolean, default: "false", in: .store,
            "whether the bucket stands in the path instead of the host name"),
        SettingDefinition(
            "BDA_S3_SSE", .choice(["AES256", "aws:kms", "aws:kms:dsse"]), without: "the bucket's", in: .store,
            "server-side encryption"),
        SettingDefinition(
            "BDA_S3_KMS_KEY_ID", .text, without: "the account's", in: .store, "key of aws:kms encryption"),
        SettingDefinition(
            "BDA_S3_STORAGE_CLASS", .name, without: "STANDARD", in: .store, "storage class of every object"),
        SettingDefinition(
            "BDA_S3_TAGS", .list, without: "no tags", in: .store, "tags of every object: key=value, separated by commas"
        ),
        SettingDefinition(
            "BDA_S3_BUCKET_OWNER", .name, without: "not checked", in: .store,
            "the account that must own the bucket"),

        SettingDefinition(
            "BDA_LOG_LEVEL", .choice(["debug", "info", "warn", "error"]), default: "info", in: .operation,
            "which lines go to standard error"),
        SettingDefinition(
            "BDA_LOG_FORMAT", .choice(["text", "json"]), default: "text", in: .operation,
            "lines for people or for machines"),
        SettingDefinition(
            "BDA_HTTP_PORT", .integer(0...65_535), default: "0", in: .operation,
            "port of /livez, /readyz and /metrics; 0 is off"),
    ]
}

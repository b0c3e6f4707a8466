internal import CLibRdKafka
import Logging
import Metrics
import CommandLineOptions
package import Settings
import Timing

/// The connection to a Kafka cluster: the configuration that all clients of a process share.
///
/// The settings are those of `KafkaSetting`; any other `BDA_KAFKA_<PROPERTY>` is a property of librdkafka, in lower case
/// and with dots for underscores.
///
/// Properties that this module relies on are refused. Values are never part of a description, because some are secrets.
package struct KafkaConfiguration: Sendable, CustomStringConvertible, CustomReflectable {
    /// `host:port`, comma-separated.
    package let bootstrapServers: String
    /// The name of this process in the logs of brokers.
    package let clientID: String
    /// Properties of librdkafka besides those that this module sets.
    let properties: [String: String]
    /// Passwords by property. A password file is read for each new client, and again after a refused log-in.
    let secrets: [String: Secret]
    /// The file of an OAUTHBEARER token that another program renews.
    let tokenFile: String?

    /// A real cluster, with further `properties` of librdkafka under their own names.
    ///
    /// Throws for the first property that librdkafka or this module refuses.
    package init(bootstrapServers: String, clientID: String, properties: [String: String] = [:]) throws(KafkaError) {
        self.init(bootstrapServers: bootstrapServers, clientID: clientID, accepted: properties)
        for (name, value) in properties.sorted(by: { $0.key < $1.key }) {
            if let refusal = Self.refusal(of: name, value: value) {
                throw KafkaError(
                    code: .invalidArgument, action: "set the Kafka property '\(name)'", cause: refusal.problem,
                    hint: refusal.hint)
            }
        }
    }

    /// A `KafkaMockCluster` at `bootstrapServers`.
    static func mockCluster(bootstrapServers: String, clientID: String) -> KafkaConfiguration {
        KafkaConfiguration(
            bootstrapServers: bootstrapServers, clientID: clientID,
            // It delays every rebalance by the session's length, and does not wake a waiting fetch when data arrive.
            accepted: ["session.timeout.ms": "3000", "heartbeat.interval.ms": "500", "fetch.wait.max.ms": "10"])
    }

    /// Reads the settings; problems are recorded in `settings`, whose `finish` throws them.
    package init(settings: inout SettingsReader, clientID: String) {
        let servers = settings[KafkaSetting.bootstrapServers]
        var properties: [String: String] = [:]
        for (name, value) in settings.values(of: KafkaSetting.properties).sorted(by: { $0.key < $1.key }) {
            if let refusal = Self.refusal(of: name, value: value) {
                settings.refuse(Self.setting(of: name), problem: refusal.problem, hint: refusal.hint)
            } else {
                properties[name] = value
            }
        }
        var secrets: [String: Secret] = [:]
        secrets["sasl.password"] = settings[KafkaSetting.saslPassword]
        secrets["ssl.key.password"] = settings[KafkaSetting.sslKeyPassword]
        let tokenFile = settings[KafkaSetting.tokenFile]
        self.init(
            bootstrapServers: servers, clientID: clientID, accepted: properties, secrets: secrets, tokenFile: tokenFile)
        if tokenFile != nil, saslMechanism != "OAUTHBEARER" {
            settings.refuse(
                KafkaSetting.tokenFile.name, problem: "is for BDA_KAFKA_SASL_MECHANISM=OAUTHBEARER only",
                hint: "with BDA_KAFKA_SECURITY_PROTOCOL=SASL_SSL")
        }
    }

    private init(
        bootstrapServers: String, clientID: String, accepted properties: [String: String],
        secrets: [String: Secret] = [:], tokenFile: String? = nil
    ) {
        self.bootstrapServers = bootstrapServers
        self.clientID = clientID
        self.properties = properties
        self.secrets = secrets
        self.tokenFile = tokenFile
    }

    /// The variables by which a child process connects to the same cluster in the same way. They may hold secrets.
    package var environment: [String: String] {
        var variables = [KafkaSetting.bootstrapServers.name: bootstrapServers]
        for (name, value) in properties { variables[Self.setting(of: name)] = value }
        for (name, secret) in secrets {
            let setting = Self.setting(of: name)
            if let file = secret.file {
                variables["\(setting)_FILE"] = file
            } else {
                variables[setting] = try? secret.reveal()
            }
        }
        variables[KafkaSetting.tokenFile.name] = tokenFile
        return variables
    }

    /// The address and the names of the properties.
    package var description: String {
        let names = (Array(properties.keys) + Array(secrets.keys)).sorted().joined(separator: ", ")
        return "Kafka at \(bootstrapServers)" + (names.isEmpty ? "" : ", with \(names)")
    }

    /// As `description`, so that `dump` shows no value either.
    package var customMirror: Mirror { Mirror(reflecting: description) }

    /// The SASL mechanism in use, in upper case; nil without SASL.
    var saslMechanism: String? {
        let security = properties["security.protocol"]?.lowercased() ?? "plaintext"
        guard security.hasPrefix("sasl") else { return nil }
        // librdkafka's own default.
        return (properties["sasl.mechanisms"] ?? properties["sasl.mechanism"] ?? "GSSAPI").uppercased()
    }
}

extension KafkaConfiguration {
    /// The reason to refuse a property.
    struct Refusal {
        let problem: String
        let hint: String?
    }

    static func setting(of name: String) -> String {
        "BDA_KAFKA_" + String(name.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// The reason to refuse `name` = `value`; nil if the property is accepted.
    static func refusal(of name: String, value: String) -> Refusal? {
        // Newer releases have more properties of groups, such as group.protocol.
        if let reason = ownedProperties[name] ?? (name.hasPrefix("group.") ? perRole : nil) {
            return Refusal(problem: "'\(name)' is set by the program: \(reason)", hint: "remove it")
        }
        guard let scratch = try? Properties() else { return nil }
        do {
            try scratch.set(name, value)
            return nil
        } catch {
            // librdkafka repeats the values of numbers and choices, but not texts, which secrets are.
            return Refusal(problem: error.cause, hint: error.hint)
        }
    }

    private static let perRole = "it follows from the use of the client"
    private static let offsets = "offsets are committed once a job is claimed"
    private static let bounded = "memory and delay were measured with the program's value"

    /// Refused properties, with the reasons.
    static let ownedProperties: [String: String] = [
        "bootstrap.servers": "use BDA_KAFKA_BOOTSTRAP_SERVERS",
        "metadata.broker.list": "use BDA_KAFKA_BOOTSTRAP_SERVERS",
        "client.id": perRole,
        "group.id": perRole,
        "group.instance.id": "a second process with one instance id ends the first for good",
        "partition.assignment.strategy":
            "all members must have one, and librdkafka's cooperative-sticky loses partitions with manual commits",
        "client.rack": "librdkafka 2.0.2 aborts when it fetches from followers during a rebalance",
        "enable.auto.commit": offsets,
        "enable.auto.offset.store": offsets,
        "auto.commit.enable": offsets,
        "auto.commit.interval.ms": offsets,
        "auto.offset.reset": offsets,
        "offset.store.method": offsets,
        "enable.partition.eof": perRole,
        "queued.min.messages": bounded,
        "queued.max.messages.kbytes": bounded,
        "fetch.message.max.bytes": bounded,
        "max.partition.fetch.bytes": bounded,
        "enable.idempotence": "a message must not be repeated or reordered by a retry",
        "acks": "a message counts once all replicas in sync have it",
        "request.required.acks": "a message counts once all replicas in sync have it",
        "max.in.flight": "a message must not be repeated or reordered by a retry",
        "max.in.flight.requests.per.connection": "a message must not be repeated or reordered by a retry",
        "retries": "sending is limited by time, not by tries",
        "message.send.max.retries": "sending is limited by time, not by tries",
        "message.timeout.ms": "sending must outlast a restart of the brokers",
        "delivery.timeout.ms": "sending must outlast a restart of the brokers",
        "linger.ms": perRole,
        "queue.buffering.max.ms": perRole,
        "sticky.partitioning.linger.ms": "messages without key or partition are spread evenly",
        "transactional.id": "no transactions are used",
        "transaction.timeout.ms": "no transactions are used",
        "statistics.interval.ms": "the metrics are made from it",
        "log.queue": "logs go where the program's logs go",
        "enabled_events": "it follows from the use of the client",
        "test.mock.num.brokers": "the embedded cluster is for `bda-coordinator local` only",
    ]
}

extension KafkaConfiguration {
    /// The properties of one kind of client: `defaults`, which the user may replace, and `fixed` ones.
    struct Role {
        var defaults: [String: String] = [:]
        var fixed: [String: String]
    }

    /// The owner of a `rd_kafka_conf_t` until a handle takes it over.
    struct Properties: ~Copyable {
        private let pointer: OpaquePointer

        init() throws(KafkaError) {
            guard let pointer = rd_kafka_conf_new() else {
                throw KafkaError(code: .notImplemented, action: "make a Kafka configuration", cause: "no memory")
            }
            self.pointer = pointer
        }

        deinit { rd_kafka_conf_destroy(pointer) }

        func set(_ name: String, _ value: String) throws(KafkaError) {
            var text = ErrorText()
            guard rd_kafka_conf_set(pointer, name, value, &text.buffer, ErrorText.size) == RD_KAFKA_CONF_OK else {
                throw KafkaError(
                    code: .invalidArgument, action: "set the Kafka property '\(name)'",
                    cause: text.string,
                    hint: "see librdkafka's CONFIGURATION.md for the properties of version \(KafkaLibrary.version)")
            }
        }

        func enableEvents(_ events: Int32) { rd_kafka_conf_set_events(pointer, events) }

        /// Creates the client, which owns the configuration from then on; if that fails, the configuration is freed
        /// here.
        consuming func makeClient(_ type: rd_kafka_type_t) throws(KafkaError) -> OpaquePointer {
            var text = ErrorText()
            if let client = rd_kafka_new(type, pointer, &text.buffer, ErrorText.size) {
                discard self
                return client
            }
            _ = consume self
            let isKey = text.string.contains("ssl.key.")
            throw KafkaError(
                code: .invalidArgument, action: "make a Kafka client", cause: text.string,
                hint: isKey
                    ? "check BDA_KAFKA_SSL_KEY_LOCATION and BDA_KAFKA_SSL_KEY_PASSWORD"
                    : "check the settings that begin with BDA_KAFKA_")
        }
    }

    /// All properties of a client of this `role`.
    func makeProperties(role: Role) throws(KafkaError) -> Properties {
        let merged = Self.general.merging(role.defaults) { $1 }.merging(properties) { $1 }.merging(role.fixed) { $1 }
            .merging(["bootstrap.servers": bootstrapServers, "client.id": clientID, "log.queue": "true"]) { $1 }
        let result = try Properties()
        for (name, value) in merged.sorted(by: { $0.key < $1.key }) { try result.set(name, value) }
        for (name, secret) in secrets {
            let text: String
            do throws(SecretUnreadable) {
                text = try secret.reveal()
            } catch {
                throw KafkaError(
                    code: .invalidArgument, action: "set the Kafka property '\(name)'", cause: "\(error)",
                    hint: error.hint)
            }
            try result.set(name, text)
        }
        return result
    }

    /// A broken connection is detected and opened again soon, and small messages are sent without delay.
    /// (`log.connection.close` stays on, because librdkafka's hints on a wrong `security.protocol` depend on it.)
    private static let general = [
        "socket.keepalive.enable": "true", "socket.nagle.disable": "true", "reconnect.backoff.ms": "100",
        "reconnect.backoff.max.ms": "2000",
    ]

    /// `error` with a better hint, if this configuration determines the cause better than the code alone.
    func explaining(_ error: KafkaError) -> KafkaError {
        let hint: String?
        if error.isAuthentication, let mechanism = saslMechanism {
            hint = logInHint(mechanism: mechanism, cause: error.cause)
        } else if error.code == .ssl, error.cause.contains(" alert ") {
            // The broker has refused the handshake.
            hint =
                "the broker refuses this client's certificate: check BDA_KAFKA_SSL_CERTIFICATE_LOCATION and "
                + "BDA_KAFKA_SSL_KEY_LOCATION, the certificate's dates and its issuer"
        } else if error.code == .transport, error.cause.contains(/SSL.(handshake|routines|listener)/.ignoresCase()) {
            // librdkafka reports a TLS failure that closes the connection as a lost connection.
            hint = KafkaError.Code.ssl.hint
        } else {
            hint = nil
        }
        guard let hint else { return error }
        return KafkaError(
            code: error.code, action: error.action, cause: error.cause, isFatal: error.isFatal, hint: hint)
    }

    /// The hint after a failed log-in by `mechanism`; nil selects the hint of the code.
    private func logInHint(mechanism: String, cause: String) -> String? {
        if cause.contains("Unsupported SASL mechanism") {
            return "set BDA_KAFKA_SASL_MECHANISM to a mechanism of the broker"
        }
        if mechanism == "OAUTHBEARER" {
            return "check \(KafkaSetting.tokenFile.name), or the settings that begin with BDA_KAFKA_SASL_OAUTHBEARER_"
        }
        return Self.scramHint(mechanism: mechanism, version: KafkaLibrary.version)
    }

    /// The hint after a failed log-in by `mechanism` if this release of librdkafka may be the reason.
    static func scramHint(mechanism: String, version: KafkaLibrary.Version) -> String? {
        guard mechanism.hasPrefix("SCRAM"), version < KafkaLibrary.firstVersionWithScramForKafka4 else { return nil }
        return "librdkafka \(version) cannot log in to Kafka 4 by \(mechanism), whatever the password (fixed in "
            + "\(KafkaLibrary.firstVersionWithScramForKafka4)); use TLS client certificates, PLAIN over TLS or "
            + "OAUTHBEARER, or a newer librdkafka. With Kafka 3, check BDA_KAFKA_SASL_USERNAME and "
            + "BDA_KAFKA_SASL_PASSWORD"
    }
}

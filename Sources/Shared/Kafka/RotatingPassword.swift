internal import CLibRdKafka
import Settings

/// The password of a log-in in a file: the file may be replaced while a client is open, which then gets the new
/// password after the brokers have refused the old one.
struct RotatingPassword {
    private let user: String
    private let secret: Secret
    private var last: String?

    /// Returns nil unless the log-in of `configuration` has a password file.
    init?(_ configuration: KafkaConfiguration) {
        guard let user = configuration.properties["sasl.username"], let secret = configuration.secrets["sasl.password"],
            secret.file != nil
        else { return nil }
        self.user = user
        self.secret = secret
        last = try? secret.reveal()
    }

    /// Reads the file again. Returns whether `client` got another password; the same password is not worth a log-in.
    mutating func renew(on client: OpaquePointer) -> Bool {
        // A file that cannot be read now may be readable after the next refusal.
        guard let password = try? secret.reveal(), password != last else { return false }
        last = password
        let error = KafkaError(
            consuming: rd_kafka_sasl_set_credentials(client, user, password), action: "set the Kafka password")
        return error == nil
    }
}

package import Settings

/// The settings of a connection to a Kafka cluster.
package enum KafkaSetting {
    package static let bootstrapServers = Setting(
        "BDA_KAFKA_BOOTSTRAP_SERVERS", .text, "brokers to connect to first: host:port, separated by commas")
    package static let saslPassword = Setting(
        "BDA_KAFKA_SASL_PASSWORD", .secret, whenUnset: "no password", "librdkafka property sasl.password")
    package static let sslKeyPassword = Setting(
        "BDA_KAFKA_SSL_KEY_PASSWORD", .secret, whenUnset: "no password", "librdkafka property ssl.key.password")
    package static let tokenFile = Setting(
        "BDA_KAFKA_SASL_OAUTHBEARER_TOKEN_LOCATION", .text, whenUnset: "librdkafka fetches the token",
        "file of a token (JWT) for OAUTHBEARER; it is read again before the token expires")

    package static let properties = SettingProperties(
        prefix: "BDA_KAFKA_",
        "any other property of librdkafka: BDA_KAFKA_SECURITY_PROTOCOL sets security.protocol")

    package static let section = SettingSection(
        "Kafka", [bootstrapServers, saslPassword, sslKeyPassword, tokenFile], properties: properties)
}

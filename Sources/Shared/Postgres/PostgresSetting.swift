package import Settings

/// The settings of a connection to the warehouse.
package enum PostgresSetting {
    package static let host = Setting(
        "BDA_DB_HOST", .text, "host name of the PostgreSQL server, or the folder of its socket if it begins with '/'")
    package static let port = Setting(
        "BDA_DB_PORT", .integer(1...65_535), default: 5432, "TCP port of the PostgreSQL server")
    package static let database = Setting("BDA_DB_NAME", .text, default: "octopus", "name of the database")
    package static let user = Setting(
        "BDA_DB_USER", .text, default: "billing_aggregator", "role to log in as; deploy/postgres/role.sql creates it")
    package static let password = Setting(
        "BDA_DB_PASSWORD", .secret, whenUnset: "no password",
        "password of the role; a file is read again at each connection")
    package static let sslMode = Setting(
        "BDA_DB_SSLMODE", .oneOf(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
        default: "prefer", "sslmode of libpq; only verify-full checks certificate and host name of the server")
    package static let sslRootCertificate = Setting(
        "BDA_DB_SSLROOTCERT", .text, whenUnset: "the file of libpq",
        "PEM file of the authorities that may have signed the server's certificate")
    package static let connectTimeoutSeconds = Setting(
        "BDA_DB_CONNECT_TIMEOUT_SECONDS", .integer(1...600), default: 10,
        "time limit of a connection attempt, for each address of the host")
    package static let maximumConnections = Setting(
        "BDA_DB_MAX_CONNS", .integer(1...1000), default: 4,
        "maximum number of database connections of a worker; it needs BDA_WORKER_SLOTS + 2")

    package static let section = SettingSection(
        "Database (PostgreSQL)",
        [
            host, port, database, user, password, sslMode, sslRootCertificate, connectTimeoutSeconds,
            maximumConnections,
        ])
}

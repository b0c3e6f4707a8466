package import Settings

/// The address of the warehouse and the role to log in as: the settings of `PostgresSetting`.
package struct PostgresConfiguration: Sendable {
    /// The server, or a socket's folder.
    package var host: String
    /// Its port.
    package var port: Int
    /// The database.
    package var database: String
    /// The role.
    package var user: String
    /// The role's password.
    package var password: Secret?
    /// libpq's `sslmode`.
    package var sslMode: String
    /// File of the certificate authorities; nil is libpq's own.
    package var sslRootCertificate: String?
    /// For each address of the host.
    package var connectTimeoutSeconds: Int

    /// A server and a role, with libpq's defaults for the rest.
    package init(host: String, port: Int, database: String, user: String, password: Secret?) {
        self.host = host
        self.port = port
        self.database = database
        self.user = user
        self.password = password
        sslMode = "prefer"
        connectTimeoutSeconds = 10
    }

    /// Reads the `BDA_DB_*` settings.
    package init(settings: inout SettingsReader) {
        host = settings[PostgresSetting.host]
        port = settings[PostgresSetting.port]
        database = settings[PostgresSetting.database]
        user = settings[PostgresSetting.user]
        password = settings[PostgresSetting.password]
        sslMode = settings[PostgresSetting.sslMode]
        sslRootCertificate = settings[PostgresSetting.sslRootCertificate]
        connectTimeoutSeconds = settings[PostgresSetting.connectTimeoutSeconds]
        // libpq then takes a refused certificate as a reason to go on without encryption.
        if sslRootCertificate != nil, ["disable", "allow", "prefer"].contains(sslMode) {
            settings.refuse(
                PostgresSetting.sslRootCertificate.name, problem: "protects nothing with BDA_DB_SSLMODE=\(sslMode)",
                hint: "set BDA_DB_SSLMODE=verify-full")
        }
    }

    /// The server for people: never holds the password.
    package var address: String { "\(host):\(port)/\(database)" }

    /// libpq's keywords and values ("Parameter Key Words"). The password's file, if there is one, is read here.
    func keywords(applicationName: String) throws(SecretUnreadable) -> [(String, String)] {
        var keywords: [(String, String)] = [
            ("host", host), ("port", "\(port)"), ("dbname", database), ("user", user), ("sslmode", sslMode),
            ("connect_timeout", "\(connectTimeoutSeconds)"), ("application_name", applicationName),
            ("client_encoding", "UTF8"),
            // A server that is gone without a word is noticed within half a minute, also in the middle of a statement.
            ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
            // Overrides PGOPTIONS of the environment, which could change the bytes of an export.
            ("options", ""),
        ]
        if let password { keywords.append(("password", try password.reveal())) }
        if let sslRootCertificate { keywords.append(("sslrootcert", sslRootCertificate)) }
        return keywords
    }

    /// What every session is pinned to, so that no setting of a server, role or environment can change a byte of an
    /// export, end an idle keeper, or let the backend of a killed worker work on. JIT is off because a segment's plan is
    /// compiled anew for each partition: sixteen times the cost of one. PostgreSQL 17 brought transaction_timeout. The result
    /// is the pid of the server process.
    static let pinnedSession = """
        SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1;
        SET bytea_output = 'hex'; SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on;
        SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0;
        SET client_min_messages = warning; SET client_connection_check_interval = '1s'; SET jit = off; SET row_security = off;
        SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';
        SELECT pg_catalog.pg_backend_pid()
        """
}

package import Settings

/// The address of the warehouse and the login: the settings of `PostgresSetting`.
package struct PostgresConfiguration: Sendable {
    /// The host name of the server, or the directory of its socket.
    package var host: String
    package var port: Int
    package var database: String
    package var user: String
    package var password: Secret?
    /// libpq's `sslmode`.
    package var sslMode: String
    /// A PEM file of certificate authorities; nil selects libpq's default.
    package var sslRootCertificate: String?
    /// The limit holds for each address of the host.
    package var connectTimeoutSeconds: Int

    /// Uses libpq's defaults for the other values.
    package init(host: String, port: Int, database: String, user: String, password: Secret?) {
        self.host = host
        self.port = port
        self.database = database
        self.user = user
        self.password = password
        sslMode = "prefer"
        connectTimeoutSeconds = 10
    }

    package init(settings: inout SettingsReader) {
        host = settings[PostgresSetting.host]
        port = settings[PostgresSetting.port]
        database = settings[PostgresSetting.database]
        user = settings[PostgresSetting.user]
        password = settings[PostgresSetting.password]
        sslMode = settings[PostgresSetting.sslMode]
        sslRootCertificate = settings[PostgresSetting.sslRootCertificate]
        connectTimeoutSeconds = settings[PostgresSetting.connectTimeoutSeconds]
        // With these modes libpq continues without encryption if the certificate is refused.
        if sslRootCertificate != nil, ["disable", "allow", "prefer"].contains(sslMode) {
            settings.refuse(
                PostgresSetting.sslRootCertificate.name, problem: "has no effect with BDA_DB_SSLMODE=\(sslMode)",
                hint: "set BDA_DB_SSLMODE=verify-full")
        }
    }

    /// The server in messages: it never holds the password.
    package var address: String { "\(host):\(port)/\(database)" }

    /// libpq's keywords and values ("Parameter Key Words"). A password file is read by this call.
    func keywords(applicationName: String) throws(SecretUnreadable) -> [(String, String)] {
        var keywords: [(String, String)] = [
            ("host", host), ("port", "\(port)"), ("dbname", database), ("user", user), ("sslmode", sslMode),
            ("connect_timeout", "\(connectTimeoutSeconds)"), ("application_name", applicationName),
            ("client_encoding", "UTF8"),
            // The loss of a server that sends no more packets is noticed within half a minute, also during a statement.
            ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
            // Overrides PGOPTIONS of the environment, which could change the bytes of an export.
            ("options", ""),
        ]
        if let password { keywords.append(("password", try password.reveal())) }
        if let sslRootCertificate { keywords.append(("sslrootcert", sslRootCertificate)) }
        return keywords
    }

    /// The settings that every session is pinned to, so that no setting of a server, role or environment can change a
    /// byte of an export, end an idle keeper, or let the backend of a killed worker continue. JIT is off because a
    /// segment's plan is compiled anew for each partition: sixteen times the cost of one. PostgreSQL 17 brought
    /// transaction_timeout. The result is the pid of the server process.
    static let pinnedSession = """
        SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1;
        SET bytea_output = 'hex'; SET search_path = pg_catalog, pg_temp; SET standard_conforming_strings = on;
        SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0;
        SET client_min_messages = warning; SET client_connection_check_interval = '1s'; SET jit = off; SET row_security = off;
        SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';
        SELECT pg_catalog.pg_backend_pid()
        """
}

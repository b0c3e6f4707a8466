import CLibPQ
package import CommandLineOptions

extension PostgresError {
    /// The error of a failed connection attempt. libpq passes on no SQLSTATE, so it is derived from the text, if the
    /// server's messages are English.
    static func refusedConnection(_ connection: OpaquePointer, action: String) -> PostgresError {
        let text = String(cString: PQerrorMessage(connection))
        let (hint, sqlState): (String, String?) =
            if PQconnectionNeedsPassword(connection) != 0 {
                ("set BDA_DB_PASSWORD or BDA_DB_PASSWORD_FILE", "28P01")
            } else if text.contains("authentication failed") {
                ("check BDA_DB_USER and BDA_DB_PASSWORD (or BDA_DB_PASSWORD_FILE)", "28P01")
            } else if text.contains("unsupported startup parameter") {
                (ConnectionPooler.hint, nil)
            } else if text.contains("root certificate file") {
                (
                    "set BDA_DB_SSLROOTCERT to a PEM file of the authority that has signed the server's certificate; "
                        + "public authorities are in /etc/ssl/certs/ca-certificates.crt", nil
                )
            } else if text.contains("does not match host name") {
                ("set BDA_DB_HOST to a name that the server's certificate has", nil)
            } else if text.contains("certificate verify failed") {
                (
                    "the authority in BDA_DB_SSLROOTCERT has not signed the server's certificate, or that has expired",
                    nil
                )
            } else if text.contains("too many") || text.contains("connection slots") {
                (tooManySessions, nil)
            } else if text.contains("the database system is") {
                ("wait until the server has started, or is a primary again", nil)
            } else if text.contains("database \"") && text.contains("does not exist") {
                ("check BDA_DB_NAME", "3D000")
            } else if text.contains("role \"") && text.contains("does not exist") {
                ("check BDA_DB_USER", "28000")
            } else if text.contains("pg_hba.conf") {
                ("the server's pg_hba.conf refuses this role, database, address or encryption", "28000")
            } else if text.contains("SSL") || text.contains("certificate") {
                ("check BDA_DB_SSLMODE and BDA_DB_SSLROOTCERT", nil)
            } else {
                ("check BDA_DB_HOST and BDA_DB_PORT, and that the server runs and can be reached from here", nil)
            }
        return fromConnection(connection, action: action, hint: hint, sqlState: sqlState)
    }
}

/// A connection pooler stands between this process and the server. Behind it a session is not one server process: locks
/// of a session remain or end early, and a claim would name a process that does not do its work, so that no former
/// attempt could be ended.
package struct ConnectionPooler: ErrorWithExitCode, Sendable, Hashable {
    let address: String

    static let hint = "set BDA_DB_HOST and BDA_DB_PORT to the database server itself, for direct connections"

    package var description: String {
        "\(address) is a connection pooler and not the database server: the process of a session is not the one that it names"
    }
    package var exitCode: ExitCode { .usage }
    package var hint: String? { Self.hint }
}

import CLibPQ
package import CommandLineOptions

/// A failed call of libpq. It keeps the SQLSTATE; it never holds values of parameters or connection strings.
package struct PostgresError: ErrorWithExitCode, Sendable, Hashable, CustomStringConvertible {
    /// The five characters of PostgreSQL's "Error Codes" appendix; nil if the server did not answer.
    package let sqlState: String?
    /// The text of the server or of libpq.
    package let message: String
    /// The server's DETAIL, which may quote rows: for the ledger and the output of a check, not for logs.
    package let detail: String?
    /// What the operator can do, from the server or from this module.
    package let hint: String?
    /// What was attempted, such as `connect to PostgreSQL at host:5432/octopus as 'user'`.
    package let action: String
    /// The position of the error in the statement, as a character count from 1.
    package let position: Int?
    /// Whether the session cannot be used any more.
    package let isConnectionLost: Bool
    /// The schema of the object that the server's error refers to, such as the schema of a violated constraint.
    package let schema: String?
    /// The violated constraint or unique index.
    package let constraint: String?

    package init(
        sqlState: String?, message: String, detail: String? = nil, hint: String? = nil, action: String,
        position: Int? = nil, isConnectionLost: Bool = false, schema: String? = nil, constraint: String? = nil
    ) {
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint ?? sqlState.flatMap { Self.hint(for: $0, message: message) }
        self.action = action
        self.position = position
        self.isConnectionLost = isConnectionLost
        self.schema = schema
        self.constraint = constraint
    }

    /// Whether the same work may succeed later: lost connections, serialization failures and deadlocks, insufficient
    /// resources, a server that starts, stops or has become a standby, a lock that was not granted in time, a statement
    /// that was cancelled. A refused login of a new connection counts too: a password may be in rotation.
    package var isRetryable: Bool {
        guard let sqlState else { return isConnectionLost }
        switch sqlState.prefix(2) {
        case "08", "40", "53": return true
        case "28", "3D": return isConnectionLost
        default:
            return ["55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25006", "25P02", "58030"].contains(sqlState)
        }
    }

    /// 20 for errors that may pass. A right or a login that the server refuses is a matter of settings, 2; any other
    /// error of the server recurs with the same statement, 11.
    package var exitCode: ExitCode {
        switch sqlState {
        case "42501", "28000", "28P01", "3D000": .usage
        default: isRetryable || isConnectionLost ? .databaseUnavailable : .jobFailed
        }
    }

    /// The hint for states that are frequent in operation and whose server messages do not name the remedy.
    private static func hint(for sqlState: String, message: String) -> String? {
        switch sqlState {
        case "25006":
            "the server is read-only: it is a standby, or default_transaction_read_only is on; check BDA_DB_HOST"
        case "42501" where message.contains("row-level security"):
            "an export reads all rows: give the role BYPASSRLS, or drop the policy; if filtered rows are intended, grant the role a view that selects them, owned by a role with BYPASSRLS, and read that"
        case "42501": "give the role the rights that deploy/postgres/role.sql lists"
        case "53100":
            "the database server's disk is full; 'bda-coordinator clean' drops the tables of runs that no view shows"
        case "53200": "the database server is out of memory; use fewer worker slots (BDA_WORKER_SLOTS)"
        case "53300": tooManySessions
        case "55P03":
            "another session holds a lock on a table, or waits for an ACCESS EXCLUSIVE lock on it (TRUNCATE, ALTER, VACUUM FULL): see pg_locks"
        case "57014": "the statement was cancelled by another session or by a time limit of the server"
        case "58030": "check the database server's disks and log"
        default: nil
        }
    }

    static let tooManySessions =
        "raise the server's max_connections or the role's CONNECTION LIMIT, or start fewer workers or slots (BDA_WORKER_SLOTS)"

    /// SQLSTATE 23505.
    package var isUniqueViolation: Bool { sqlState == "23505" }

    /// Whether a row has a key that another row has, by the named constraint.
    package func violates(_ constraint: String, in schema: String) -> Bool {
        isUniqueViolation && self.schema == schema && self.constraint == constraint
    }

    /// SQLSTATE 57014: `PQcancel`, or a time limit of the session.
    package var isCancelled: Bool { sqlState == "57014" }

    package var description: String {
        "unable to \(action): \(message)" + (sqlState.map { " (SQLSTATE \($0))" } ?? "")
    }

    /// The error of libpq itself, not of the server. The connection cannot be used any more, although libpq calls it
    /// good after a failed write.
    static func fromConnection(
        _ connection: OpaquePointer?, action: String, hint: String? = nil, sqlState: String? = nil
    ) -> PostgresError {
        let text = connection.flatMap { PQerrorMessage($0) }.map { String(cString: $0) } ?? "out of memory"
        return PostgresError(
            sqlState: sqlState, message: oneLine(text), hint: hint, action: action, isConnectionLost: true)
    }

    static func fromResult(
        _ result: OpaquePointer?, of connection: OpaquePointer, action: String
    ) -> PostgresError {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue!)).map { String(cString: $0) }
        }
        // The field codes are PG_DIAG_SQLSTATE and the other PG_DIAG_ constants of postgres_ext.h.
        guard let result, let sqlState = field("C") else {
            return fromConnection(connection, action: action)
        }
        return PostgresError(
            sqlState: sqlState, message: oneLine(field("M") ?? String(cString: PQresultErrorMessage(result))),
            detail: field("D"), hint: field("H"), action: action, position: field("P").flatMap { Int($0) },
            isConnectionLost: PQstatus(connection) == CONNECTION_BAD, schema: field("s"), constraint: field("n"))
    }

    /// `PG_DIAG_SQLSTATE`.
    static let sqlStateField = Int32(UInt8(ascii: "C"))

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).map { $0.trimmingPrefix { $0 == " " || $0 == "\t" } }
            .joined(separator: "; ")
    }
}

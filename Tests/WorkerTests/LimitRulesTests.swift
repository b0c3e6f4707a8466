import Glibc
import JobModel
import Postgres
import Testing
import Timing

@testable import ObjectStore
@testable import Worker

/// What a worker says when it meets a limit of somebody else's: the outcome, the name, and a hint.
@Suite struct LimitRulesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var what: String
        var error: any Error
        var isRetry: Bool
        var code: String
        /// A word of the hint.
        var hint: String

        var testDescription: String { what }
    }

    private static func postgres(_ state: String) -> PostgresError {
        PostgresError(sqlState: state, message: "m", action: "a")
    }

    private static func store(_ status: Int, _ code: String) -> ObjectStoreError {
        let body = "<Error><Code>\(code)</Code><Message>m</Message></Error>"
        return ObjectStoreError(
            HTTPReply(status: status, headers: [:], body: Array(body.utf8)), fault: S3Fault(Array(body.utf8)), "put",
            "s3://b/k")
    }

    static let rows = [
        Row(what: "the database's disk is full", error: postgres("53100"), isRetry: true, code: "53100", hint: "disk"),
        Row(what: "the database has no memory", error: postgres("53200"), isRetry: true, code: "53200", hint: "memory"),
        Row(
            what: "the database has too many sessions", error: postgres("53300"), isRetry: true, code: "53300",
            hint: "max_connections"),
        Row(
            what: "the database is read-only", error: postgres("25006"), isRetry: true, code: "25006",
            hint: "BDA_DB_HOST"),
        Row(
            what: "a statement was cancelled", error: postgres("57014"), isRetry: true, code: "57014", hint: "cancelled"
        ),
        Row(what: "a table stays locked", error: postgres("55P03"), isRetry: true, code: "55P03", hint: "pg_locks"),
        Row(what: "the role may not", error: postgres("42501"), isRetry: false, code: "42501", hint: "role.sql"),
        Row(
            what: "the output's disk is full", error: ObjectStoreError(errno: ENOSPC, "write", "f"), isRetry: true,
            code: "no_space", hint: "BDA_OUTPUT"),
        Row(
            what: "the output's quota is used up", error: ObjectStoreError(errno: EDQUOT, "write", "f"), isRetry: true,
            code: "no_space", hint: "BDA_OUTPUT"),
        Row(
            what: "the process may not write so much", error: ObjectStoreError(errno: EFBIG, "write", "f"),
            isRetry: false, code: "no_space", hint: "ulimit"),
        Row(
            what: "the output is read-only", error: ObjectStoreError(errno: EROFS, "write", "f"), isRetry: false,
            code: "access_denied", hint: "BDA_OUTPUT"),
        Row(
            what: "S3's session has expired", error: store(400, "ExpiredToken"), isRetry: true, code: "ExpiredToken",
            hint: "AWS_SESSION_TOKEN"),
        Row(
            what: "S3 does not know the key", error: store(403, "InvalidAccessKeyId"), isRetry: false,
            code: "InvalidAccessKeyId", hint: "AWS_ACCESS_KEY_ID"),
        Row(
            what: "S3 refuses", error: store(403, "AccessDenied"), isRetry: false, code: "AccessDenied",
            hint: "s3:PutObject"),
        Row(
            what: "S3 has no room", error: store(507, "InsufficientStorage"), isRetry: true,
            code: "InsufficientStorage",
            hint: "room"),
        Row(
            what: "S3 wants fewer requests", error: store(503, "SlowDown"), isRetry: true, code: "SlowDown",
            hint: "BDA_WORKER_SLOTS"),
    ]

    @Test(arguments: rows)
    func eachLimitHasANameAHintAndARetryOnlyWhereThatHelps(_ row: Row) {
        let failure = OutcomeRules.failure(
            for: row.error, stopped: nil, attempt: 1,
            retry: RetryPolicy(attempts: 5, base: .seconds(4), maximum: .seconds(16)))
        if case .retry = failure.outcome {
            #expect(row.isRetry)
        } else {
            #expect(!row.isRetry && failure.outcome == .rejected)
        }
        #expect(failure.code == row.code)
        #expect(failure.hint?.contains(row.hint) == true, "\(failure.hint ?? "no hint")")
    }
}

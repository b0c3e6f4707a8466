import CommandLineOptions
import Testing

@testable import ObjectStore

@Suite struct ObjectStoreErrorTests {
    /// Status, S3's code, exit code.
    typealias Row = (status: Int, code: String?, exitCode: ExitCode)

    private static let rows: [Row] = [
        (403, "AccessDenied", .usage), (403, nil, .usage), (404, "NoSuchBucket", .usage),
        (301, "PermanentRedirect", .usage), (400, "AuthorizationHeaderMalformed", .usage),
        (501, "NotImplemented", .usage), (403, "InvalidAccessKeyId", .usage), (403, "SignatureDoesNotMatch", .usage),
        (400, "EntityTooSmall", .usage), (400, "KMS.DisabledException", .usage),
        (412, "PreconditionFailed", .jobFailed),
        (503, "SlowDown", .storeUnavailable), (500, "InternalError", .storeUnavailable), (429, nil, .storeUnavailable),
        (403, "RequestTimeTooSkewed", .storeUnavailable), (400, "ExpiredToken", .storeUnavailable),
        (507, "InsufficientStorage", .storeUnavailable), (409, "OperationAborted", .storeUnavailable),
    ]

    @Test(arguments: rows)
    func `no permanent error asks to be scheduled again`(row: Row) {
        let (status, code, exitCode) = row
        let fault = code.flatMap { S3Fault(Array("<Error><Code>\($0)</Code><Message>m</Message></Error>".utf8)) }
        #expect((fault == nil) == (code == nil))
        let error = ObjectStoreError(
            HTTPReply(status: status, headers: [:], body: []), fault: fault, "put", "s3://bucket/key")
        #expect(error.exitCode == exitCode)
        #expect(exitCode != .usage || error.hint != nil)
    }
}

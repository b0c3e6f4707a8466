import Bytes
import Foundation

/// AWS Signature Version 4 in the form of S3: the path encoded once, the body's hash in `x-amz-content-sha256`.
///
/// Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)" in the Amazon S3 API
/// Reference, whose examples are in the tests. libcurl can sign too, but the signed headers change from release to
/// release (see docs/decisions).
struct SigV4: Sendable {
    let region: String
    let service: String

    /// The key that signs for one day, region and service; derived from the secret once a day.
    struct DayKey: Sendable {
        fileprivate let day: String
        fileprivate let secretAccessKey: String
        fileprivate let bytes: [UInt8]
    }

    /// Adds date, body hash, session token and signature to a request. Every header present is signed; those that
    /// libcurl adds by itself are not. `dayKey` is used if it is still valid, and replaced otherwise.
    func sign(
        _ request: inout HTTPRequest, credentials: Credentials, payloadHash: String, at date: Date,
        dayKey: inout DayKey?
    ) {
        let timestamp = Self.timestamp(date)
        let day = String(timestamp.prefix(8))
        request.headers.append(("x-amz-date", timestamp))
        request.headers.append(("x-amz-content-sha256", payloadHash))
        if let token = credentials.sessionToken { request.headers.append(("x-amz-security-token", token)) }

        let (canonical, signedHeaders) = canonicalRequest(request, payloadHash: payloadHash)
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let toSign = "AWS4-HMAC-SHA256\n\(timestamp)\n\(scope)\n\(SHA256.hash(canonical).hex)"

        if dayKey?.day != day || dayKey?.secretAccessKey != credentials.secretAccessKey {
            dayKey = makeDayKey(day: day, secretAccessKey: credentials.secretAccessKey)
        }
        let signature = SHA256.hmac(key: dayKey!.bytes, message: Array(toSign.utf8)).hex
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope),"
            + "SignedHeaders=\(signedHeaders),Signature=\(signature)"
        request.headers.append(("authorization", authorization))
    }

    /// The text whose digest is signed, and the names of the headers in it.
    func canonicalRequest(_ request: HTTPRequest, payloadHash: String) -> (text: String, signedHeaders: String) {
        // By name: sorting "name:value" lines puts `x-amz-meta-run-id` before `x-amz-meta-run`.
        let headers = (request.headers + [("host", request.server.authority)])
            .map { (name: $0.name.lowercased(), value: Self.collapse($0.value)) }
            .sorted { $0.name < $1.name }
        let names = headers.map(\.name).joined(separator: ";")
        let lines = headers.map { "\($0.name):\($0.value)\n" }.joined()
        let text =
            "\(request.method.rawValue)\n\(request.path)\n\(request.canonicalQuery)\n\(lines)\n\(names)\n\(payloadHash)"
        return (text, names)
    }

    private func makeDayKey(day: String, secretAccessKey: String) -> DayKey {
        var key = Array("AWS4\(secretAccessKey)".utf8)
        for step in [day, region, service, "aws4_request"] {
            key = SHA256.hmac(key: key, message: Array(step.utf8)).bytes
        }
        return DayKey(day: day, secretAccessKey: secretAccessKey, bytes: key)
    }

    /// A value in its signed form: no spaces at the ends, single spaces between words.
    private static func collapse(_ value: String) -> String {
        value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }

    /// `20130524T000000Z`.
    static func timestamp(_ date: Date) -> String {
        var seconds = time_t(date.timeIntervalSince1970.rounded(.down))
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int32, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let day = digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2)
        return day + "T" + digits(parts.tm_hour, 2) + digits(parts.tm_min, 2) + digits(parts.tm_sec, 2) + "Z"
    }
}

import Bytes
import Foundation

/// One HTTP request in its final form: the signed bytes are the bytes that are sent.
struct HTTPRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case put = "PUT"
        case post = "POST"
        case delete = "DELETE"
    }

    /// The destination of the body of a successful answer.
    enum Sink: Sendable {
        /// Into memory; a body above the limit is an error.
        case memory(limit: Int)
        /// Into a buffer, whose content is replaced.
        case buffer(ByteBuffer)
    }

    var method: Method
    var server: HTTPServer
    /// Percent-encoded, beginning with a slash.
    var path: String
    /// Not yet encoded, in any order.
    var query: [(name: String, value: String)] = []
    /// All headers except those that libcurl adds by itself (Host, Content-Length, Expect, Accept, User-Agent).
    var headers: [(name: String, value: String)] = []
    /// Only for `put` and `post`, which send an empty body if it is nil.
    var body: ByteBuffer?
    var sink = Sink.memory(limit: 64 * 1024)

    /// The time limit of the connection attempt.
    var connectLimit = Duration.seconds(10)
    /// The time without any transferred byte after which the transfer ends.
    var stallLimit = Duration.seconds(60)
    /// The time limit of the whole transfer.
    var totalLimit: Duration?
    /// Without a proxy: link-local metadata services are never behind one.
    var isDirect = false

    /// The address for libcurl. The query has the order and the encoding of the signature.
    var url: String {
        let query = canonicalQuery
        return server.url + path + (query.isEmpty ? "" : "?" + query)
    }

    /// Names and values strictly encoded, sorted by encoded name and then value; `name=` for an empty value.
    var canonicalQuery: String {
        var pairs = query.map { (name: PercentEncoding.encode($0.name), value: PercentEncoding.encode($0.value)) }
        pairs.sort { ($0.name, $0.value) < ($1.name, $1.value) }
        return pairs.map { $0.name + "=" + $0.value }.joined(separator: "&")
    }
}

/// Scheme, host and port, normal form: lower-case host, no default port.
struct HTTPServer: Sendable, Hashable {
    let isSecure: Bool
    let host: String
    let port: Int?

    init(isSecure: Bool, host: String, port: Int? = nil) {
        self.isSecure = isSecure
        self.host = host.lowercased()
        self.port = port == (isSecure ? 443 : 80) ? nil : port
    }

    /// The value of the Host header.
    var authority: String { port.map { "\(host):\($0)" } ?? host }

    var url: String { (isSecure ? "https://" : "http://") + authority }

    /// Whether the host is a number, not a name: `127.0.0.1`, `[::1]`.
    var isAddress: Bool {
        host.hasPrefix("[") || host.allSatisfy { $0.isASCII && $0.isNumber || $0 == "." }
    }

    /// Whether the host is a loopback address, given as a number.
    var isLoopbackAddress: Bool { host == "[::1]" || isAddress && host.hasPrefix("127.") }

    /// An address that may end in a slash but has no path. Returns nil for any other text.
    init?(url: String) {
        guard let (server, path, query) = Self.split(url: url), path == "/", query.isEmpty else { return nil }
        self = server
    }

    /// Splits an http or https address. Returns nil for any other text, and for an address with a user.
    static func split(url: String) -> (server: HTTPServer, path: String, query: [(name: String, value: String)])? {
        // Not decoded: a decoded `%2F` would end the host.
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.encodedHost, ["http", "https"].contains(scheme), !host.isEmpty, !host.contains("%"),
            parts.user == nil, parts.fragment == nil
        else { return nil }
        let server = HTTPServer(isSecure: scheme == "https", host: host, port: parts.port)
        let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        return (server, path, (parts.queryItems ?? []).map { ($0.name, $0.value ?? "") })
    }
}

struct HTTPReply: Sendable {
    var status: Int
    /// By lower-case name; the last value of a repeated header.
    var headers: [String: String]
    /// Empty if the body was written into the request's buffer.
    var body: [UInt8]

    var isSuccess: Bool { (200..<300).contains(status) }
}

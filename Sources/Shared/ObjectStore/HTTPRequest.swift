import Bytes
import Foundation

/// One HTTP request, written out as it will be sent: what is signed is what goes over the wire.
struct HTTPRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case put = "PUT"
        case post = "POST"
        case delete = "DELETE"
    }

    /// Where the body of a good answer goes.
    enum Sink: Sendable {
        /// Into memory; a longer one is an error.
        case memory(limit: Int)
        /// Into a buffer, whose content it replaces.
        case buffer(ByteBuffer)
    }

    var method: Method
    var server: HTTPServer
    /// Percent-encoded, beginning with a slash.
    var path: String
    /// Not yet encoded, in any order.
    var query: [(name: String, value: String)] = []
    /// All headers but those that libcurl adds by itself (Host, Content-Length, Expect, Accept, User-Agent).
    var headers: [(name: String, value: String)] = []
    /// Only for `put` and `post`, which send an empty body when it is nil.
    var body: ByteBuffer?
    var sink = Sink.memory(limit: 64 * 1024)

    /// The connection must stand by then.
    var connectLimit = Duration.seconds(10)
    /// Nothing moves for so long: given up.
    var stallLimit = Duration.seconds(60)
    /// All of it must be over by then.
    var totalLimit: Duration?
    /// Link-local metadata services are never behind a proxy.
    var isDirect = false

    /// The address that libcurl gets. The query has the order and the encoding that the signature has.
    var url: String {
        let query = canonicalQuery
        return server.url + path + (query.isEmpty ? "" : "?" + query)
    }

    /// Names and values strictly encoded, sorted by encoded name and then value; `name=` where there is no value.
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

    /// What the Host header says.
    var authority: String { port.map { "\(host):\($0)" } ?? host }

    var url: String { (isSecure ? "https://" : "http://") + authority }

    /// Whether the host is a number, not a name: `127.0.0.1`, `[::1]`.
    var isAddress: Bool {
        host.hasPrefix("[") || host.allSatisfy { $0.isASCII && $0.isNumber || $0 == "." }
    }

    /// Whether the host is this machine by its number.
    var isLoopbackAddress: Bool { host == "[::1]" || isAddress && host.hasPrefix("127.") }

    /// A server's address, which may end in a slash but has no path.
    init?(url: String) {
        guard let (server, path, query) = Self.split(url: url), path == "/", query.isEmpty else { return nil }
        self = server
    }

    /// Takes an http or https address apart; nil when it is none, or names a user.
    static func split(url: String) -> (server: HTTPServer, path: String, query: [(name: String, value: String)])? {
        // As written: decoded, `%2F` would end the host.
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.encodedHost, ["http", "https"].contains(scheme), !host.isEmpty, !host.contains("%"),
            parts.user == nil, parts.fragment == nil
        else { return nil }
        let server = HTTPServer(isSecure: scheme == "https", host: host, port: parts.port)
        let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        return (server, path, (parts.queryItems ?? []).map { ($0.name, $0.value ?? "") })
    }
}

/// An HTTP answer.
struct HTTPReply: Sendable {
    var status: Int
    /// By lower-case name; of a repeated header the last.
    var headers: [String: String]
    /// Empty when it went into the request's buffer.
    var body: [UInt8]

    var isSuccess: Bool { (200..<300).contains(status) }
}

import Foundation
import Glibc
import Testing

@testable import Metrics
@testable import HealthEndpoint

@Suite(.timeLimit(.minutes(1)))
struct HealthEndpointTests {
    private let readiness = Readiness(["kafka", "database"])
    private let registry = MetricsRegistry()

    /// An endpoint that answers while `body` runs, and has ended when this returns.
    private func withEndpoint(_ body: (Int) async throws -> Void) async throws {
        let endpoint = try HealthEndpoint(port: 0, readiness: readiness, registry: registry)
        let task = Task { try await endpoint.run() }
        do { try await body(endpoint.port) } catch {
            task.cancel()
            throw error
        }
        task.cancel()
        try await task.value
    }

    @Test func answersOnItsThreePaths() async throws {
        Counter(label: .takeovers, registry: registry).increment()
        try await withEndpoint { port in
            let live = try await HTTPReply.to("GET /livez HTTP/1.1", port: port)
            #expect(live.status == 200 && live.body == "ok\n")
            #expect(live.headers["content-type"] == "text/plain; charset=utf-8")
            let metrics = try await HTTPReply.to("GET /metrics HTTP/1.1", port: port)
            #expect(metrics.status == 200)
            #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(metrics.body.contains("\nbda_takeovers_total 1\n"))
            // With a query, as some probes send it.
            #expect(try await HTTPReply.to("GET /livez?verbose=1 HTTP/1.1", port: port).status == 200)
        }
    }

    @Test func readyzTellsWhatIsMissing() async throws {
        try await withEndpoint { port in
            var reply = try await HTTPReply.to("GET /readyz HTTP/1.1", port: port)
            #expect(reply.status == 503)
            #expect(reply.body == "database: not tried yet\nkafka: not tried yet\n")
            readiness.set("kafka", isReady: true)
            readiness.set("database", isReady: false, reason: "unable to connect to 'db': refused")
            reply = try await HTTPReply.to("GET /readyz HTTP/1.1", port: port)
            #expect(reply.status == 503 && reply.body == "database: unable to connect to 'db': refused\n")
            readiness.set("database", isReady: true)
            reply = try await HTTPReply.to("GET /readyz HTTP/1.1", port: port)
            #expect(reply.status == 200 && reply.body == "ok\n")
            readiness.set("draining", isReady: false, reason: "SIGTERM")
            #expect(try await HTTPReply.to("GET /readyz HTTP/1.1", port: port).status == 503)
        }
    }

    /// `select` refuses descriptors from 1024 on.
    @Test func answersInAProcessWithManyOpenFiles() async throws {
        let files = (0..<1100).map { _ in open("/dev/null", O_RDONLY) }
        defer { for file in files where file >= 0 { close(file) } }
        try #require(files.allSatisfy { $0 >= 0 }, "the process may not open 1100 files: check 'ulimit -n'")
        try await withEndpoint { port in
            let reply = try await HTTPReply.to("GET /livez HTTP/1.1", port: port)
            #expect(reply.status == 200)
        }
    }

    @Test func headHasTheHeadersWithoutTheBody() async throws {
        try await withEndpoint { port in
            let reply = try await HTTPReply.to("HEAD /livez HTTP/1.1", port: port)
            #expect(reply.status == 200 && reply.body.isEmpty)
            #expect(reply.headers["content-length"] == "3")
        }
    }

    @Test(arguments: ["/", "/livez/", "/healthz", "/../etc/passwd", "/metrics2"])
    func anyOtherPathIsNotFound(_ path: String) async throws {
        try await withEndpoint { port in
            let reply = try await HTTPReply.to("GET \(path) HTTP/1.1", port: port)
            #expect(reply.status == 404)
        }
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS"])
    func otherMethodsAreRefused(_ method: String) async throws {
        try await withEndpoint { port in
            let reply = try await HTTPReply.to(
                "\(method) /metrics HTTP/1.1\r\nContent-Length: 4", body: "body", port: port)
            #expect(reply.status == 405)
            #expect(reply.headers["allow"] == "GET, HEAD")
        }
    }

    @Test func whatIsNoHTTPIsRefusedAndHurtsNobody() async throws {
        try await withEndpoint { port in
            let reply = try? await HTTPReply.to("\u{16}\u{3}\u{1} nonsense", port: port)
            #expect(reply.map { $0.status >= 400 } ?? true)
            let next = try await HTTPReply.to("GET /livez HTTP/1.1", port: port)
            #expect(next.status == 200)
        }
    }

    @Test func oneConnectionServesManyRequests() async throws {
        try await withEndpoint { port in
            let request = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
            let last = "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            let text = try await HTTPReply.exchange(request + request + last, port: port)
            #expect(text.matches(of: #/HTTP/1.1 200/#).count == 2)
            #expect(text.matches(of: #/HTTP/1.1 503/#).count == 1)
        }
    }

    @Test func answersManyAtOnce() async throws {
        try await withEndpoint { port in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 { group.addTask { try await HTTPReply.to("GET /metrics HTTP/1.1", port: port).status } }
                for try await status in group { #expect(status == 200) }
            }
        }
    }

    @Test func itsPortIsFreeAgainWhenItHasEnded() async throws {
        var used = 0
        try await withEndpoint { port in
            used = port
            let reply = try await HTTPReply.to("GET /livez HTTP/1.1", port: port)
            #expect(reply.status == 200)
        }
        await #expect(throws: HTTPReply.Failure.self) { try await HTTPReply.to("GET /livez HTTP/1.1", port: used) }
        let again = try HealthEndpoint(port: used, readiness: readiness, registry: registry)
        #expect(again.port == used)
    }

    @Test func anEndpointThatNeverRanGivesItsPortBack() async throws {
        let port = try HealthEndpoint(port: 0, readiness: readiness, registry: registry).port
        await #expect(throws: HTTPReply.Failure.self) { try await HTTPReply.to("GET /livez HTTP/1.1", port: port) }
    }

    @Test func aPortInUseNamesTheSetting() throws {
        let first = try HealthEndpoint(port: 0, readiness: readiness, registry: registry)
        let error = #expect(throws: HealthEndpointError.self) {
            _ = try HealthEndpoint(port: first.port, readiness: readiness, registry: registry)
        }
        #expect(error?.errorNumber == EADDRINUSE)
        #expect(
            error?.description == "unable to listen on port \(first.port) of BDA_HTTP_PORT: Address already in use")
        #expect(error?.hint?.contains("0 for no endpoint") == true)
        withExtendedLifetime(first) {}
    }
}

/// A reply to a request that was written byte by byte.
struct HTTPReply {
    struct Failure: Error { let reason: String }

    let status: Int
    let headers: [String: String]
    let body: String

    /// Sends `head` (request line and headers) with `Host` and `Connection: close` and reads to the end.
    static func to(_ head: String, body: String = "", port: Int) async throws -> HTTPReply {
        let text = try await exchange("\(head)\r\nHost: localhost\r\nConnection: close\r\n\r\n\(body)", port: port)
        let halves = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let lines = halves[0].split(separator: "\r\n")
        guard halves.count == 2, let code = lines.first?.split(separator: " ").dropFirst().first, let status = Int(code)
        else { throw Failure(reason: "no HTTP reply: \(text)") }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            headers[pair[0].lowercased()] = pair.last?.trimmingCharacters(in: .whitespaces)
        }
        return HTTPReply(status: status, headers: headers, body: String(halves[1]))
    }

    /// Sends `request` and reads until the peer closes, on a thread of its own: the pool's two are for the endpoint.
    static func exchange(_ request: String, port: Int) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try blockingExchange(request, port: port) })
            }
        }
    }

    private static func blockingExchange(_ request: String, port: Int) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard status == 0 else { throw Failure(reason: String(cString: strerror(errno))) }
        var bytes = Array(request.utf8)
        guard send(descriptor, &bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Failure(reason: String(cString: strerror(errno)))
        }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { throw Failure(reason: String(cString: strerror(errno))) }
            if count == 0 { return String(decoding: reply, as: UTF8.self) }
            reply += buffer[..<count]
        }
    }
}

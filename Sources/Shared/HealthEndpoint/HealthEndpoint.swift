package import Metrics
import ServiceLifecycle
import BlockingIO
import CMicroHTTPD
import Glibc

/// Answers the requests of a scheduler and of a monitoring system over HTTP:
///
/// | path | answer |
/// | --- | --- |
/// | `/livez` | 200 while the process answers |
/// | `/readyz` | 200, or 503 with one line for each condition of `Readiness` that does not hold |
/// | `/metrics` | the registry in Prometheus's text format |
///
/// GET and HEAD only. There is no TLS and no log-in: the port is for the pod's network. `init` binds the port, so that
/// a port in use is an error before any work is begun; `run` answers until it is cancelled.
package final class HealthEndpoint: Service {
    package let port: Int
    private let responder: HealthResponder
    /// The listening socket, until libmicrohttpd owns it.
    private let socket: Mutex<Int32?>

    /// Listens on `port` of all addresses, IPv6 and IPv4.
    ///
    /// - Parameters:
    ///   - port: 0 selects a free one, see `self.port`. (`BDA_HTTP_PORT` 0 means that no endpoint is created.)
    ///   - readiness: the conditions that `/readyz` reports.
    ///   - registry: the metrics that `/metrics` shows.
    package init(port: Int, readiness: Readiness, registry: MetricsRegistry) throws(HealthEndpointError) {
        let listener = try ListeningSocket.open(port: port)
        self.port = listener.port
        socket = Mutex(listener.descriptor)
        responder = HealthResponder(readiness: readiness, registry: registry)
    }

    deinit {
        if let descriptor = socket.withLock({ $0 }) { close(descriptor) }
    }

    /// Answers until the task is cancelled. It can be called once.
    package func run() async throws {
        guard let descriptor = socket.withLock({ $0.take() }) else { preconditionFailure("an endpoint runs once") }
        let daemon = HTTPDaemon(responder: responder)
        try await daemon.start(descriptor, port: port)
        // It is never resolved: the wait ends by cancellation.
        try? await OneShot<Never>().value
        await daemon.stop()
    }
}

/// The one owner of a libmicrohttpd daemon. Starting and stopping block (the latter joins the daemon's thread), so both
/// run on a thread of their own.
private actor HTTPDaemon {
    private let thread = BlockingThread(name: "bda-http")
    private let responder: HealthResponder
    private var daemon: OpaquePointer?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(responder: HealthResponder) { self.responder = responder }

    func start(_ descriptor: Int32, port: Int) throws(HealthEndpointError) {
        // The daemon calls with this pointer until it is stopped, and this actor, which holds the responder, outlives it:
        // `run` keeps it until `stop` has returned.
        let context = Unmanaged.passUnretained(responder).toOpaque()
        daemon = bda_mhd_start(descriptor, 32, 10, answer, context)
        guard daemon != nil else {
            let code = errno
            close(descriptor)
            throw HealthEndpointError(port: port, errorNumber: code)
        }
    }

    func stop() {
        if let daemon { MHD_stop_daemon(daemon) }
        daemon = nil
    }
}

/// libmicrohttpd's access handler. It is called once after the headers, with `seen` nil, again for each piece of a
/// body, and once more when the request is complete: only then may it be answered, or the connection is closed.
private func answer(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
    method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?, body: UnsafePointer<CChar>?,
    bodySize: UnsafeMutablePointer<Int>?, seen: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context, let connection, let url, let method, let bodySize, let seen else { return .NO }
    if seen.pointee == nil {
        // Any pointer will do: it only distinguishes the first call from the others.
        seen.pointee = context
        return .YES
    }
    if bodySize.pointee > 0 {
        bodySize.pointee = 0
        return .YES
    }
    let responder = Unmanaged<HealthResponder>.fromOpaque(context).takeUnretainedValue()
    let reply = responder.reply(method: String(cString: method), path: String(cString: url))
    var bytes = Array(reply.body.utf8)
    guard let response = MHD_create_response_from_buffer(bytes.count, &bytes, .RESPMEM_MUST_COPY) else {
        return .NO
    }
    defer { MHD_destroy_response(response) }
    MHD_add_response_header(response, "Content-Type", reply.contentType)
    MHD_add_response_header(response, "Cache-Control", "no-store")
    if let allowed = reply.allowedMethods { MHD_add_response_header(response, "Allow", allowed) }
    return MHD_queue_response(connection, reply.status, response)
}

/// The answer to each request, without I/O.
final class HealthResponder: Sendable {
    struct Reply: Equatable {
        var status: UInt32
        var contentType = "text/plain; charset=utf-8"
        var allowedMethods: String?
        var body: String
    }

    private let readiness: Readiness
    private let registry: MetricsRegistry

    init(readiness: Readiness, registry: MetricsRegistry) {
        self.readiness = readiness
        self.registry = registry
    }

    func reply(method: String, path: String) -> Reply {
        guard ["/livez", "/readyz", "/metrics"].contains(path) else {
            return Reply(status: 404, body: "not found; there are /livez, /readyz and /metrics\n")
        }
        guard method == "GET" || method == "HEAD" else {
            return Reply(status: 405, allowedMethods: "GET, HEAD", body: "GET and HEAD only\n")
        }
        switch path {
        case "/metrics":
            return Reply(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: registry.prometheusText())
        case "/readyz":
            let unmet = readiness.unmet
            return unmet.isEmpty
                ? Reply(status: 200, body: "ok\n")
                : Reply(status: 503, body: unmet.map { "\($0)\n" }.joined())
        default: return Reply(status: 200, body: "ok\n")
        }
    }
}

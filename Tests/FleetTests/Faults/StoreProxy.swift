import BlockingIO
import Foundation
import Glibc
import TestSupport

/// A loopback proxy in front of an S3 server that knows HTTP: it can answer in the server's place, spoil an answer, or break
/// a connection at a chosen point of a chosen request.
final class StoreProxy: Sendable {
    /// A request's first line and headers; its body may not have come yet.
    struct Request: Sendable {
        let method: String
        /// Path and query as they came.
        let target: String
        let length: Int

        var isPartUpload: Bool { method == "PUT" && target.contains("partNumber=") }
        var isCompletion: Bool { method == "POST" && target.contains("uploadId=") }
        var isManifest: Bool { target.contains("/manifests/") }
        var isLatest: Bool { method == "PUT" && target.contains("latest.json") }
        var isWrite: Bool { method == "PUT" || method == "POST" }
    }

    /// What goes wrong with a request.
    enum Fault: Sendable, Hashable {
        /// The store is not asked; the client gets this status and code.
        case refuse(Int, code: String)
        /// The store is not asked; the client gets a 200 whose body is an error.
        case errorInSuccess
        /// The connection is reset when half of the body has come.
        case resetInBody
        /// The store does what it is asked; its answer has another ETag.
        case wrongETag
        /// The store does what it is asked; the client gets this status and code.
        case answerReplaced(Int, code: String)
        /// The store does what it is asked; the connection is reset instead of an answer.
        case answerLost
        /// The answer waits.
        case slow(Duration)
        /// The store is not asked before `release`.
        case held
    }

    private struct Rule: Sendable {
        let fault: Fault
        let matches: @Sendable (Request) -> Bool
        var left: Int
    }

    private struct State {
        var isRefusing = false
        var rules: [Rule] = []
        var hits = 0
        var heldTarget: String?
        var isReleased = false
        var clients: Set<Int32> = []
    }

    private final class Shared: Sendable {
        let state = Mutex(State())

        /// The fault of a request, which is used up by it.
        func fault(of request: Request) -> Fault? {
            state.withLock { state in
                guard let index = state.rules.firstIndex(where: { $0.left > 0 && $0.matches(request) }) else {
                    return nil
                }
                state.rules[index].left -= 1
                state.hits += 1
                if state.rules[index].fault == .held { state.heldTarget = request.target }
                return state.rules[index].fault
            }
        }
    }

    private let listener: LoopbackListener
    private let shared: Shared

    /// Where clients connect.
    var port: Int { listener.port }

    /// Path and query of the request that is held.
    var heldTarget: String? { shared.state.withLock { $0.heldTarget } }

    /// Lets go what is held, now and later.
    func release() { shared.state.withLock { $0.isReleased = true } }

    /// How many requests had a fault.
    var hits: Int { shared.state.withLock { $0.hits } }

    /// Passes requests on to a port of 127.0.0.1.
    init(to target: Int) throws {
        let shared = Shared()
        self.shared = shared
        listener = try LoopbackListener { client in
            Loopback.setNoDelay(client)
            let isServed = shared.state.withLock { state in
                if state.isRefusing { return false }
                state.clients.insert(client)
                return true
            }
            if isServed {
                var exchange = Exchange(client: client, target: target)
                while exchange.serveNext(shared.fault, isReleased: { shared.state.withLock { $0.isReleased } }) {}
                exchange.end()
                shared.state.withLock { _ = $0.clients.remove(client) }
            } else {
                Loopback.reset(client)
            }
            Glibc.close(client)
        }
    }

    /// Spoils the next `count` requests that match.
    func spoil(_ count: Int, _ fault: Fault, where matches: @escaping @Sendable (Request) -> Bool) {
        shared.state.withLock { $0.rules.append(Rule(fault: fault, matches: matches, left: count)) }
    }

    /// Resets all connections, and new ones, until it is told otherwise.
    func refuse(_ isRefusing: Bool) {
        shared.state.withLock { state in
            state.isRefusing = isRefusing
            if isRefusing { for client in state.clients { Loopback.reset(client) } }
        }
    }

    /// Ends the proxy and its connections.
    func close() {
        listener.close()
        release()
        refuse(true)
    }
}

/// One client's connection, and the one to the server behind it.
private struct Exchange {
    let client: Int32
    let target: Int
    private var server: Int32?
    private var fromClient: [UInt8] = []
    private var fromServer: [UInt8] = []

    init(client: Int32, target: Int) {
        self.client = client
        self.target = target
    }

    func end() {
        if let server { Glibc.close(server) }
    }

    /// Serves one request. False when the connection is over.
    mutating func serveNext(
        _ fault: (StoreProxy.Request) -> StoreProxy.Fault?, isReleased: () -> Bool
    ) -> Bool {
        guard var head = Self.head(from: client, &fromClient) else { return false }
        let request = StoreProxy.Request(
            method: head.first[0], target: head.first.count > 1 ? head.first[1] : "", length: head.length ?? 0)
        let fault = fault(request)
        if head.lines.contains(where: { $0.lowercased().hasPrefix("expect:") }) {
            // Not a signed header: libcurl adds it by itself.
            head.lines.removeAll { $0.lowercased().hasPrefix("expect:") }
            guard Loopback.send(client, Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) else { return false }
        }
        if fault == .resetInBody {
            _ = Self.body(from: client, &fromClient, length: request.length / 2)
            Loopback.reset(client)
            return false
        }
        guard let body = Self.body(from: client, &fromClient, length: request.length) else { return false }
        switch fault {
        case .refuse(let status, let code): return answer(status, code, to: request)
        case .errorInSuccess: return answer(200, "InternalError", to: request)
        case .held: while !isReleased() { usleep(10_000) }
        default: break
        }
        let bytes = Array((head.lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
        guard var reply = forward(bytes, isHead: request.method == "HEAD") else {
            Loopback.reset(client)
            return false
        }
        switch fault {
        case .answerLost:
            Loopback.reset(client)
            return false
        case .answerReplaced(let status, let code): return answer(status, code, to: request)
        case .wrongETag: reply = Self.withWrongETag(reply)
        case .slow(let delay): usleep(UInt32(delay / .microseconds(1)))
        default: break
        }
        return Loopback.send(client, reply)
    }

    private func answer(_ status: Int, _ code: String, to request: StoreProxy.Request) -> Bool {
        let body =
            request.method == "HEAD"
            ? ""
            : """
            <?xml version="1.0" encoding="UTF-8"?>
            <Error><Code>\(code)</Code><Message>said by the test's proxy</Message></Error>
            """
        let head =
            "HTTP/1.1 \(status) Fault\r\nContent-Type: application/xml\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        return Loopback.send(client, Array((head + body).utf8))
    }

    /// The server's whole answer as it came. A kept connection that the server has closed meanwhile is opened again.
    private mutating func forward(_ request: [UInt8], isHead: Bool) -> [UInt8]? {
        for isKept in [true, false] {
            if !isKept || server == nil {
                if let server { Glibc.close(server) }
                fromServer = []
                server = Loopback.connect(to: target)
            }
            guard let server, Loopback.send(server, request) else { continue }
            while let head = Self.head(from: server, &fromServer) {
                let status = head.first.count > 1 ? Int(head.first[1]) ?? 0 : 0
                if status == 100 { continue }
                let bytes = Array((head.lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
                if isHead || status == 204 || status == 304 { return bytes }
                if head.isChunked { return chunks(from: server).map { bytes + $0 } }
                return Self.body(from: server, &fromServer, length: head.length ?? 0).map { bytes + $0 }
            }
        }
        return nil
    }

    private mutating func chunks(from server: Int32) -> [UInt8]? {
        var all: [UInt8] = []
        while true {
            guard let line = Self.upTo("\r\n", from: server, &fromServer),
                let size = Int(String(decoding: line, as: UTF8.self).prefix { $0.isHexDigit }, radix: 16),
                let data = Self.body(from: server, &fromServer, length: size + 2)
            else { return nil }
            all += line + Array("\r\n".utf8) + data
            if size == 0 { return all }
        }
    }

    private struct Head {
        var lines: [String]
        var first: [String] { lines[0].split(separator: " ").map(String.init) }
        var length: Int? { value("content-length").flatMap { Int($0) } }
        var isChunked: Bool { value("transfer-encoding")?.lowercased() == "chunked" }

        private func value(_ name: String) -> String? {
            lines.dropFirst().first { $0.lowercased().hasPrefix("\(name):") }
                .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
    }

    private static func head(from connection: Int32, _ pending: inout [UInt8]) -> Head? {
        guard let bytes = upTo("\r\n\r\n", from: connection, &pending) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
        return lines[0].contains(" ") ? Head(lines: lines) : nil
    }

    /// The bytes before a mark, which is taken off too.
    private static func upTo(_ mark: String, from connection: Int32, _ pending: inout [UInt8]) -> [UInt8]? {
        while true {
            if let range = Data(pending).range(of: Data(mark.utf8)) {
                let bytes = Array(pending[..<range.lowerBound])
                pending.removeFirst(range.upperBound)
                return bytes
            }
            guard let more = Loopback.receive(connection), !more.isEmpty else { return nil }
            pending += more
        }
    }

    private static func body(from connection: Int32, _ pending: inout [UInt8], length: Int) -> [UInt8]? {
        while pending.count < length {
            guard let more = Loopback.receive(connection), !more.isEmpty else { return nil }
            pending += more
        }
        defer { pending.removeFirst(length) }
        return Array(pending.prefix(length))
    }

    private static func withWrongETag(_ reply: [UInt8]) -> [UInt8] {
        String(decoding: reply, as: UTF8.self).replacing(/(?i)\r\netag: [^\r]*/) { _ in
            "\r\nETag: \"0123456789abcdef0123456789abcdef\""
        }.utf8.map { $0 }
    }
}

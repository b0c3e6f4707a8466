import BlockingIO
import Foundation

/// An HTTP server on a free loopback port that answers as a test tells it to, faults included.
final class FaultServer: Sendable {
    struct Request: Sendable {
        let method: String
        /// Path and query as they came over the wire.
        let target: String
        /// By lower-case name.
        let headers: [String: String]
        let body: [UInt8]

        var path: String { String(target.prefix { $0 != "?" }) }
        func has(_ parameter: String) -> Bool {
            target.split(separator: "?").dropFirst().joined().split(separator: "&").contains {
                $0.split(separator: "=").first.map(String.init) == parameter
            }
        }
    }

    enum Action: Sendable {
        case answer(Int, headers: [String: String] = [:], body: String = "")
        /// Announces more bytes than it sends, and closes the connection.
        case cutOff(announced: Int, body: String)
        /// Closes the connection with a reset instead of answering.
        case reset
        /// Says nothing until the client goes away.
        case silence
    }

    let port: Int
    private let listener: Int32
    private let handler: @Sendable (Request) -> Action
    /// Bytes of a request's body after which the connection is reset; negative for never.
    private let resetAfter: Mutex<Int>
    private let seen = Mutex<[Request]>([])
    private let arrivals: AsyncStream<Request>
    private let arrive: AsyncStream<Request>.Continuation

    /// Starts the server; `handler` is called once for each whole request, on a thread of that connection.
    init(_ handler: @escaping @Sendable (Request) -> Action) throws {
        self.handler = handler
        resetAfter = Mutex(-1)
        (arrivals, arrive) = AsyncStream.makeStream()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRNOTAVAIL) }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                // A test that is over has no answers.
                guard let server = self else {
                    close(connection)
                    return
                }
                Thread.detachNewThread { server.serve(connection) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        arrive.finish()
    }

    /// All requests so far.
    var requests: [Request] { seen.withLock { $0 } }

    /// The next request that nobody has waited for yet.
    func nextRequest() async -> Request? {
        for await request in arrivals { return request }
        return nil
    }

    /// Resets the next connection whose body is longer than this, in mid-body.
    func resetOnce(afterBodyBytes count: Int) { resetAfter.withLock { $0 = count } }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        var pending: [UInt8] = []
        while let request = read(connection, &pending) {
            seen.withLock { $0.append(request) }
            arrive.yield(request)
            switch handler(request) {
            case .answer(let status, let headers, let body):
                var text = "HTTP/1.1 \(status) X\r\n"
                let length = request.method == "HEAD" ? headers["Content-Length"] ?? "0" : String(body.utf8.count)
                for (name, value) in headers where name != "Content-Length" { text += "\(name): \(value)\r\n" }
                text += "Content-Length: \(length)\r\n\r\n"
                if request.method != "HEAD" { text += body }
                guard send(connection, Array(text.utf8)) else { return }
            case .cutOff(let announced, let body):
                _ = send(connection, Array("HTTP/1.1 200 X\r\nContent-Length: \(announced)\r\n\r\n\(body)".utf8))
                return
            case .reset:
                return reset(connection)
            case .silence:
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
                return
            }
        }
    }

    private func read(_ connection: Int32, _ pending: inout [UInt8]) -> Request? {
        let blank = Data("\r\n\r\n".utf8)
        while true {
            if let end = Data(pending).range(of: blank) {
                let lines = String(decoding: pending[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
                pending.removeFirst(end.upperBound)
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    headers[parts[0].lowercased()] =
                        parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
                }
                if headers["expect"] != nil, !send(connection, Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)) {
                    return nil
                }
                let length = headers["content-length"].flatMap { Int($0) } ?? 0
                while pending.count < length {
                    let limit = resetAfter.withLock { $0 }
                    if limit >= 0, pending.count > limit {
                        resetAfter.withLock { $0 = -1 }
                        reset(connection)
                        return nil
                    }
                    guard receive(connection, &pending) else { return nil }
                }
                let body = Array(pending.prefix(length))
                pending.removeFirst(length)
                let first = lines[0].split(separator: " ").map(String.init)
                return Request(method: first[0], target: first[1], headers: headers, body: body)
            }
            guard receive(connection, &pending) else { return nil }
            // The first byte of a TLS handshake: answered as servers without TLS do.
            if pending.first == 0x16 {
                _ = send(connection, Array("HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n".utf8))
                return nil
            }
        }
    }

    private func receive(_ connection: Int32, _ pending: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(connection, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        pending += buffer.prefix(count)
        return true
    }

    private func send(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.send(connection, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func reset(_ connection: Int32) {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    }
}

import BlockingIO
import Foundation
import Glibc

/// A loopback proxy that passes bytes on, until a test says otherwise.
///
/// Two threads a connection, one for each direction. Descriptors are closed by the second thread to end, so that no control
/// call ever meets a number that belongs to somebody else.
package final class TCPProxy: Sendable {
    /// What happens to bytes and connections.
    package enum Way: Sendable, Hashable {
        /// They pass.
        case open
        /// Each chunk of bytes waits.
        case slow(Duration)
        /// Nothing passes and nothing ends, as if the network had swallowed it.
        case silent
        /// Connections are reset, new ones too.
        case refusing
    }

    private struct State {
        var way = Way.open
        var connections: [Int: Connection] = [:]
        var count = 0
        /// The server's reply to the next request that holds this text does not come back.
        var lostReplyTo: [UInt8]?
        var lostReplies = 0
    }

    private final class Connection: Sendable {
        let client: Int32
        let server: Int32
        /// How many of the two directions have ended.
        let ended = Mutex(0)
        let isCut = Mutex(false)
        let losesReply = Mutex(false)

        init(client: Int32, server: Int32) {
            self.client = client
            self.server = server
        }

        func reset() {
            isCut.withLock { $0 = true }
            // Within the lock of the proxy's list, from which it is removed before its descriptors are closed.
            Loopback.reset(client)
            Loopback.reset(server)
        }
    }

    private let target: Int
    private let listener: LoopbackListener
    private let shared: Shared

    /// What the threads of the connections know; they must not keep the proxy alive.
    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    /// Where clients connect.
    package var port: Int { listener.port }

    /// Passes connections on to a port of 127.0.0.1.
    package init(port: Int = 0, to target: Int) throws {
        self.target = target
        let shared = Shared()
        self.shared = shared
        listener = try LoopbackListener(port: port) { client in Self.serve(client, target: target, shared) }
    }

    /// Changes what happens from now on. `refusing` also resets what is connected.
    package func set(_ way: Way) {
        shared.state.withLock { $0.way = way }
        if way == .refusing { reset() }
    }

    /// Resets all connections.
    package func reset() {
        shared.state.withLock { state in
            for connection in state.connections.values { connection.reset() }
        }
    }

    /// The next request that holds the text reaches the server, and its reply is lost with the connection.
    package func loseReply(to text: String) { shared.state.withLock { $0.lostReplyTo = Array(text.utf8) } }

    /// Forgets an order of `loseReply` that was not carried out.
    package func keepReplies() { shared.state.withLock { $0.lostReplyTo = nil } }

    /// How many replies were lost by order.
    package var lostReplies: Int { shared.state.withLock { $0.lostReplies } }

    /// Ends the proxy and its connections.
    package func close() {
        listener.close()
        set(.refusing)
    }

    private static func serve(_ client: Int32, target: Int, _ shared: Shared) {
        Loopback.setNoDelay(client)
        guard shared.state.withLock({ $0.way }) != .refusing, let server = Loopback.connect(to: target) else {
            Loopback.reset(client)
            Glibc.close(client)
            return
        }
        let connection = Connection(client: client, server: server)
        let number = shared.state.withLock { state in
            state.count += 1
            state.connections[state.count] = connection
            return state.count
        }
        Thread.detachNewThread { pump(connection, number, isRequest: false, shared) }
        pump(connection, number, isRequest: true, shared)
    }

    private static func pump(_ connection: Connection, _ number: Int, isRequest: Bool, _ shared: Shared) {
        let (source, sink) =
            isRequest ? (connection.client, connection.server) : (connection.server, connection.client)
        while true {
            let bytes = Loopback.receive(source)
            // What arrives in a silence, the end included, is held back until it is over.
            guard wait(connection, shared) else { break }
            guard let bytes else {
                connection.reset()
                break
            }
            guard !bytes.isEmpty else {
                shutdown(sink, Int32(SHUT_WR))
                break
            }
            if isRequest { markLostReply(bytes, of: connection, shared) }
            if !isRequest, connection.losesReply.withLock({ $0 }) {
                shared.state.withLock { $0.lostReplies += 1 }
                connection.reset()
                break
            }
            guard Loopback.send(sink, bytes) else {
                connection.reset()
                break
            }
        }
        let isLast = connection.ended.withLock { ended in
            ended += 1
            return ended == 2
        }
        guard isLast else { return }
        shared.state.withLock { $0.connections[number] = nil }
        Glibc.close(connection.client)
        Glibc.close(connection.server)
    }

    /// False when the connection was cut meanwhile.
    private static func wait(_ connection: Connection, _ shared: Shared) -> Bool {
        while !connection.isCut.withLock({ $0 }) {
            switch shared.state.withLock({ $0.way }) {
            case .open, .refusing: return true
            case .slow(let delay):
                usleep(UInt32(delay / .microseconds(1)))
                return true
            case .silent: usleep(10_000)
            }
        }
        return false
    }

    private static func markLostReply(_ bytes: [UInt8], of connection: Connection, _ shared: Shared) {
        shared.state.withLock { state in
            guard let text = state.lostReplyTo, Data(bytes).range(of: Data(text)) != nil else { return }
            state.lostReplyTo = nil
            connection.losesReply.withLock { $0 = true }
        }
    }
}

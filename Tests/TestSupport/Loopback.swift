import BlockingIO
import Foundation
import Glibc

/// A listening socket on 127.0.0.1. Each connection is served on a thread of its own, which owns its descriptor.
package final class LoopbackListener: Sendable {
    /// Where it listens.
    package let port: Int
    private let descriptor: Int32
    private let isClosed = DispatchSemaphore(value: 0)

    /// Listens on a port, or on any that is free.
    package init(port: Int = 0, serve: @escaping @Sendable (_ connection: Int32) -> Void) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptor = listener
        var isReused: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isReused, socklen_t(MemoryLayout<Int32>.size))
        var address = Loopback.address(port: port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 128) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard isBound else {
            let code = POSIXErrorCode(rawValue: errno) ?? .EADDRINUSE
            Glibc.close(listener)
            throw POSIXError(code)
        }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        let isClosed = isClosed
        Thread.detachNewThread {
            while true {
                let connection = accept(listener, nil, nil)
                if connection < 0, errno == EINTR || errno == ECONNABORTED { continue }
                guard connection >= 0 else { break }
                Thread.detachNewThread { serve(connection) }
            }
            Glibc.close(listener)
            isClosed.signal()
        }
    }

    /// Listens no more; connections stay. To be called once.
    package func close() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        isClosed.wait()
    }
}

/// Blocking calls on sockets of this machine.
package enum Loopback {
    fileprivate static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    /// A connection to a port; nil when nobody listens.
    package static func connect(to port: Int) -> Int32? {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = address(port: port)
        let isConnected = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        if isConnected {
            setNoDelay(connection)
            return connection
        }
        close(connection)
        return nil
    }

    /// A proxy must not hold small packets back.
    package static func setNoDelay(_ connection: Int32) {
        var isOn: Int32 = 1
        setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
    }

    /// The next bytes; empty at the end, nil when the connection is broken.
    package static func receive(_ connection: Int32) -> [UInt8]? {
        while true {
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: 64 * 1024) { buffer, initialized in
                count = recv(connection, buffer.baseAddress, buffer.count, 0)
                initialized = max(count, 0)
            }
            if count < 0, errno == EINTR { continue }
            return count < 0 ? nil : bytes
        }
    }

    /// Sends everything; false when the connection is broken.
    package static func send(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Ends a connection with a reset, also while other threads are in a call on it. The descriptor stays open.
    package static func reset(_ connection: Int32) {
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        _ = Glibc.connect(connection, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
        // Where the system does not know that, an orderly end is the next best.
        shutdown(connection, Int32(SHUT_RDWR))
    }
}

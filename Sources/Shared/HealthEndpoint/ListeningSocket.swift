import Glibc

/// A TCP socket that listens on a port of all addresses.
struct ListeningSocket {
    let descriptor: Int32
    let port: Int

    /// Opens a socket for IPv6 and IPv4, or for IPv4 if the kernel has no IPv6.
    static func open(port: Int) throws(HealthEndpointError) -> ListeningSocket {
        do {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = in_port_t(port).bigEndian
            return try open(port: port, family: AF_INET6, address: address)
        } catch  where error.errorNumber == EAFNOSUPPORT || error.errorNumber == EADDRNOTAVAIL {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            return try open(port: port, family: AF_INET, address: address)
        }
    }

    private static func open<Address>(
        port: Int, family: Int32, address: Address
    ) throws(HealthEndpointError) -> ListeningSocket {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, type, 0)
        guard descriptor >= 0 else { throw HealthEndpointError(port: port, errorNumber: errno) }
        var on: Int32 = 1
        var off: Int32 = 0
        let size = socklen_t(MemoryLayout<Int32>.size)
        // A restarted program can bind its port immediately.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
        if family == AF_INET6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, size) }
        var address = address
        let isListening = withUnsafeMutableBytes(of: &address) { raw in
            let pointer = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            var size = socklen_t(raw.count)
            return bind(descriptor, pointer, size) == 0 && listen(descriptor, 64) == 0
                && getsockname(descriptor, pointer, &size) == 0
        }
        guard isListening else {
            let code = errno
            close(descriptor)
            throw HealthEndpointError(port: port, errorNumber: code)
        }
        // The port has the same place in sockaddr_in and sockaddr_in6, in network order.
        let bound = withUnsafeBytes(of: &address) { Int($0[2]) << 8 | Int($0[3]) }
        return ListeningSocket(descriptor: descriptor, port: bound)
    }
}

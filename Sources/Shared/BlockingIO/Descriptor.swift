import Glibc

/// An open file of the process, written without a buffer.
package struct Descriptor: Sendable {
    let number: Int32

    package init(number: Int32) { self.number = number }

    package static let standardOutput = Descriptor(number: STDOUT_FILENO)
    package static let standardError = Descriptor(number: STDERR_FILENO)

    /// Writes all of it, with one call of write(2) where the kernel takes it at once, and waits for a slow reader. What
    /// cannot be written (a closed pipe, a full disk) is lost.
    package func write(_ text: String) {
        Array(text.utf8).withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let written = Glibc.write(number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if errno == EAGAIN {
                    // Whoever shares this file made it non-blocking.
                    var ready = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
                    poll(&ready, 1, -1)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}

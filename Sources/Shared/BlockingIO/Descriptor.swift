import Glibc

/// An open file of the process, written without a buffer.
package struct Descriptor: Sendable {
    let number: Int32

    package init(number: Int32) { self.number = number }

    package static let standardOutput = Descriptor(number: STDOUT_FILENO)
    package static let standardError = Descriptor(number: STDERR_FILENO)

    /// Writes all bytes and waits at most `limit` for a slow reader. Returns false if the reader took too long; a part
    /// of the text may have been written then. Text that cannot be written at all (a closed pipe, a full disk) is lost.
    ///
    /// A text of up to 4096 bytes is written by one call, so that lines of several processes do not mix.
    @discardableResult
    package func write(_ text: String, within limit: Duration = .seconds(5)) -> Bool {
        var status = stat()
        let isFile = fstat(number, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        return Array(text.utf8).withUnsafeBytes { buffer in
            var rest = buffer[...]
            let deadline = ContinuousClock.now + limit
            while !rest.isEmpty {
                // A pipe that is ready takes PIPE_BUF bytes without waiting; a larger write could block.
                let count = isFile ? rest.count : min(rest.count, 4096)
                if !isFile {
                    let left = max(.zero, deadline - ContinuousClock.now)
                    var ready = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
                    let result = poll(&ready, 1, Int32(left / .milliseconds(1)))
                    if result == 0 { return false }
                    if result < 0 { if errno == EINTR { continue } else { return true } }
                }
                let written = Glibc.write(number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, count)
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if errno != EINTR, errno != EAGAIN {
                    return true
                }
            }
            return true
        }
    }
}

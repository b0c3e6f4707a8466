import Glibc

/// The health endpoint's port could not be had.
public struct HealthEndpointError: ErrorWithHint, Sendable, Hashable, CustomStringConvertible {
    /// The port.
    public let port: Int
    /// `errno` of the call that failed.
    public let errorNumber: Int32

    /// Safe to log.
    public var description: String {
        "unable to listen on port \(port) of BDA_HTTP_PORT: \(String(cString: strerror(errorNumber)))"
    }

    /// What to do about it.
    public var hint: String? {
        switch errorNumber {
        case EADDRINUSE: "another process has this port: set BDA_HTTP_PORT to a free one, or to 0 for no endpoint"
        case EACCES: "ports below 1024 need privileges: set BDA_HTTP_PORT to a higher one"
        default: nil
        }
    }
}

package import CommandLineOptions
import Glibc

/// The port of the health endpoint could not be bound.
package struct HealthEndpointError: ErrorWithExitCode, Sendable, Hashable {
    package let port: Int
    /// `errno` of the call that failed.
    package let errorNumber: Int32

    /// Safe to log.
    package var description: String {
        "unable to listen on port \(port) of BDA_HTTP_PORT: \(String(cString: strerror(errorNumber)))"
    }

    package var exitCode: ExitCode { .usage }

    package var hint: String? {
        switch errorNumber {
        case EADDRINUSE: "another process has this port: set BDA_HTTP_PORT to a free one, or to 0 for no endpoint"
        case EACCES: "ports below 1024 need privileges: set BDA_HTTP_PORT to a higher one"
        default: nil
        }
    }
}

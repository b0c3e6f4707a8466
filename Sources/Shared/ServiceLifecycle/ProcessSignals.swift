import BlockingIO
import Dispatch
import Glibc

/// The signals that a program of ours looks at.
package enum ProcessSignals {
    /// Makes a write an error instead of the end of the process: to a closed socket or pipe (EPIPE; libcurl and OpenSSL
    /// write without `MSG_NOSIGNAL`), and past the size that the process may give a file (EFBIG). Lasts as long as the
    /// process.
    package static func ignoreWriteSignals() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }

    /// SIGTERM and SIGINT as they come, in place of their default actions, until the stream is released. Returns when
    /// both are being listened to.
    static func terminations() async -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        let queue = DispatchQueue(label: "bda.signals")
        var sources: [any DispatchSourceSignal] = []
        var registrations: [OneShot<Void>] = []
        for number in [SIGTERM, SIGINT] {
            let registration = OneShot<Void>()
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { continuation.yield(number) }
            source.setRegistrationHandler { registration.resolve(.success(())) }
            source.resume()
            sources.append(source)
            registrations.append(registration)
        }
        // All that is done with the sources from now on is cancel(), which Dispatch allows from any thread.
        nonisolated(unsafe) let registered = sources
        continuation.onTermination = { _ in
            for source in registered { source.cancel() }
        }
        for registration in registrations { try? await registration.value }
        return stream
    }

    /// `SIGTERM`, `SIGINT`, or the number.
    static func name(of signal: Int32) -> String {
        switch signal {
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        default: "signal \(signal)"
        }
    }
}

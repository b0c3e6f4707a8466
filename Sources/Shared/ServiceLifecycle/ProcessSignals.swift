import BlockingIO
import Dispatch
import Glibc

/// The signals that the programs handle.
package enum ProcessSignals {
    /// Makes a write an error instead of the end of the process: to a closed socket or pipe (EPIPE; libcurl and OpenSSL
    /// write without `MSG_NOSIGNAL`), and beyond the permitted size of a file (EFBIG). It holds until the process ends.
    package static func ignoreWriteSignals() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }

    /// The stream of SIGTERM and SIGINT, in place of their default actions, until the stream is released. Returns when
    /// the handlers of both are installed.
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
        // From here on the sources are only cancelled, which Dispatch allows from any thread.
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

import BlockingIO

package enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// Time, level, label, message, `key=value`.
    case text
    /// One JSON object a line.
    case json
}

/// The default destination of loggers: the one global object of a program, as in swift-log, so that code in deep layers
/// needs no logger as an argument.
package enum LoggingSystem {
    private static let current = Mutex<any LogHandler>(StreamLogHandler(format: .text, level: .info))

    /// Sets format and level of the lines on standard error. Existing loggers keep their handler, so this is main's
    /// first act after it has read the settings. Before it, text lines from `info` up are written.
    package static func bootstrap(format: LogFormat, level: Logger.Level) {
        current.withLock { $0 = StreamLogHandler(format: format, level: level) }
    }

    static var handler: any LogHandler { current.withLock { $0 } }
}

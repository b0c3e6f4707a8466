import BlockingIO

/// How a log line looks.
package enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// For people: time, level, label, message, `key=value`.
    case text
    /// For machines: one JSON object a line.
    case json
}

/// Where loggers write that are not told otherwise: the one thing of a program that is global, as in swift-log, so that
/// code deep below need not be handed a log.
package enum LoggingSystem {
    private static let current = Mutex<any LogHandler>(StreamLogHandler(format: .text, level: .info))

    /// Sets format and level of the lines on standard error. Loggers that exist keep what they have, so this is main's
    /// first act after reading settings. Before it, text lines from `info` up are written.
    package static func bootstrap(format: LogFormat, level: Logger.Level) {
        current.withLock { $0 = StreamLogHandler(format: format, level: level) }
    }

    static var handler: any LogHandler { current.withLock { $0 } }
}

/// Writes log lines, in swift-log's call shape:
///
///     var logger = Logger(label: "bda.worker")
///     logger[metadataKey: .runID] = "\(run.id)"
///     logger.info("job completed", metadata: [.rows: "\(rows)"])
///
/// Two things are stricter than there, so that logs can be searched: a message is a literal (data goes in metadata),
/// and metadata keys come from `LogKey`. Neither holds secrets.
///
/// A value: a copy with more metadata is made by `var`, and it may be used from any thread.
package struct Logger: Sendable {
    /// The severity of a line. The raw values are those of `BDA_LOG_LEVEL`.
    package enum Level: String, Sendable, Hashable, CaseIterable, Comparable {
        /// Details that help to find a fault.
        case debug
        /// The normal course of the program.
        case info
        /// A problem to be looked at in working hours.
        case warning = "warn"
        /// A problem to be looked at immediately.
        case error

        private var severity: Int {
            switch self {
            case .debug: 0
            case .info: 1
            case .warning: 2
            case .error: 3
            }
        }

        package static func < (left: Level, right: Level) -> Bool { left.severity < right.severity }
    }

    /// A constant text without interpolation, so that lines of one kind can be counted.
    package struct Message: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
        package let description: String
        package init(stringLiteral value: String) { description = value }
    }

    /// The value of a metadata key: any text, by interpolation. A key with an empty value is left out.
    package struct MetadataValue: Sendable, Hashable, ExpressibleByStringInterpolation, CustomStringConvertible {
        package let description: String
        package init(stringLiteral value: String) { description = value }

        package static func string(_ text: String) -> MetadataValue { MetadataValue(stringLiteral: text) }
    }

    /// The data of a line besides its message.
    package typealias Metadata = [LogKey: MetadataValue]

    /// The part of the program that writes, such as `bda.worker`.
    package let label: String
    /// Lines below this level are not written, and their arguments are not computed.
    package var logLevel: Level
    private var metadata: Metadata = [:]
    private let handler: any LogHandler

    /// A logger that writes to `handler`, by default to the handler that `LoggingSystem.bootstrap` set.
    package init(label: String, handler: (any LogHandler)? = nil) {
        let handler = handler ?? LoggingSystem.handler
        self.label = label
        self.handler = handler
        logLevel = handler.level
    }

    /// Metadata that every line of this logger carries.
    package subscript(metadataKey key: LogKey) -> MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes a line of a level known only at run time. The line's own metadata override the logger's.
    package func log(
        level: Level, _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil
    ) {
        guard level >= logLevel else { return }
        var all = self.metadata
        if let own = metadata() { all.merge(own) { $1 } }
        handler.log(LogRecord(level: level, label: label, message: message(), metadata: all))
    }

    package func debug(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .debug, message(), metadata: metadata())
    }

    package func info(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .info, message(), metadata: metadata())
    }

    package func warning(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .warning, message(), metadata: metadata())
    }

    package func error(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .error, message(), metadata: metadata())
    }
}

/// One log line before it is written.
package struct LogRecord: Sendable {
    package let level: Logger.Level
    /// The part of the program that wrote it.
    package let label: String
    package let message: Logger.Message
    package let metadata: Logger.Metadata
}

/// The destination of log lines. Called from any thread.
package protocol LogHandler: Sendable {
    /// The level that loggers of this handler begin with.
    var level: Logger.Level { get }
    /// Writes one line. Does not throw, because there is no place to report the error.
    func log(_ record: LogRecord)
}

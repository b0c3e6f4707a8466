/// Writes log lines, in swift-log's call shape:
///
///     var logger = Logger(label: "bda.worker")
///     logger[metadataKey: .runID] = "\(run.id)"
///     logger.info("job completed", metadata: [.rows: "\(rows)"])
///
/// Two things are stricter than there, so that logs can be searched: a message is a literal (data goes in metadata), and
/// metadata keys come from `LogKey`. Secrets never go in either.
///
/// A value: a copy with more metadata is made by `var`, and it may be used from any thread.
package struct Logger: Sendable {
    /// How much a line matters. The raw values are those of `BDA_LOG_LEVEL`.
    package enum Level: String, Sendable, Hashable, CaseIterable, Comparable {
        /// For who looks for a fault.
        case debug
        /// What happened.
        case info
        /// Somebody should look at it in working hours.
        case warning = "warn"
        /// Somebody should look at it now.
        case error

        private var severity: Int {
            switch self {
            case .debug: 0
            case .info: 1
            case .warning: 2
            case .error: 3
            }
        }

        /// Whether `left` matters less than `right`.
        package static func < (left: Level, right: Level) -> Bool { left.severity < right.severity }
    }

    /// A constant text: it has no interpolation, so that lines of one kind can be counted.
    package struct Message: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
        /// The text.
        package let description: String
        /// The literal.
        package init(stringLiteral value: String) { description = value }
    }

    /// The value of a metadata key: any text, by interpolation. An empty value is as none: its key is left out.
    package struct MetadataValue: Sendable, Hashable, ExpressibleByStringInterpolation, CustomStringConvertible {
        /// The text.
        package let description: String
        /// The literal or interpolated text.
        package init(stringLiteral value: String) { description = value }

        /// A text that is at hand.
        package static func string(_ text: String) -> MetadataValue { MetadataValue(stringLiteral: text) }
    }

    /// What a line carries besides its message.
    package typealias Metadata = [LogKey: MetadataValue]

    /// Which part of the program writes, such as `bda.worker`.
    package let label: String
    /// Lines below this level are not written, and their arguments are not computed.
    package var logLevel: Level
    private var metadata: Metadata = [:]
    private let handler: any LogHandler

    /// A logger that writes where `LoggingSystem.bootstrap` said, or to `handler`.
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

    /// Writes a line of a level known only at run time. The line's own metadata win over the logger's.
    package func log(
        level: Level, _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil
    ) {
        guard level >= logLevel else { return }
        var all = self.metadata
        if let own = metadata() { all.merge(own) { $1 } }
        handler.log(LogRecord(level: level, label: label, message: message(), metadata: all))
    }

    /// Writes a line for who looks for a fault.
    package func debug(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .debug, message(), metadata: metadata())
    }

    /// Writes a line on what happened.
    package func info(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .info, message(), metadata: metadata())
    }

    /// Writes a line that somebody should look at in working hours.
    package func warning(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .warning, message(), metadata: metadata())
    }

    /// Writes a line that somebody should look at now.
    package func error(_ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil) {
        log(level: .error, message(), metadata: metadata())
    }
}

/// One log line before it is written.
package struct LogRecord: Sendable {
    /// How much it matters.
    package let level: Logger.Level
    /// Which part of the program wrote it.
    package let label: String
    /// What happened.
    package let message: Logger.Message
    /// The logger's and the line's metadata.
    package let metadata: Logger.Metadata
}

/// Where log lines go. Called from any thread.
package protocol LogHandler: Sendable {
    /// The level that loggers of this handler begin with.
    var level: Logger.Level { get }
    /// Writes one line; never throws, for there would be nowhere to say so.
    func log(_ record: LogRecord)
}

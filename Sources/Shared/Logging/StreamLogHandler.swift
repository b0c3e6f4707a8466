import BlockingIO
import Glibc

/// Writes each record as one line with one `write`, so that lines of several threads never mix.
///
/// A reader that is slower than the program makes it wait, but for at most `stallLimit`: a reader that has stopped must
/// not stop jobs. After that, lines are dropped until one can be written without waiting; a line before it states how
/// many were dropped. Lines that cannot be written at all (a closed pipe, a full disk) are lost.
package final class StreamLogHandler: LogHandler {
    package let level: Logger.Level
    private let format: LogFormat
    private let stallLimit: Duration
    private let output: Mutex<Output>

    private struct Output {
        let descriptor: Descriptor
        var droppedLines = 0
    }

    /// - Parameters:
    ///   - format: the format of a line.
    ///   - level: the level that loggers begin with.
    ///   - descriptor: an open file descriptor that outlives the handler.
    ///   - stallLimit: how long a line waits for the reader before lines are dropped.
    package init(
        format: LogFormat, level: Logger.Level, descriptor: Int32 = 2, stallLimit: Duration = .seconds(5)
    ) {
        self.format = format
        self.level = level
        self.stallLimit = stallLimit
        output = Mutex(Output(descriptor: Descriptor(number: descriptor)))
    }

    package func log(_ record: LogRecord) {
        let time = Self.timestamp()
        let line = line(record, time: time)
        output.withLock { output in
            guard output.droppedLines > 0 else {
                if !output.descriptor.write(line, within: stallLimit) { output.droppedLines = 1 }
                return
            }
            let notice = LogRecord(
                level: .warning, label: record.label, message: "log lines were dropped because the reader was too slow",
                metadata: [.count: "\(output.droppedLines)"])
            // The first dropped line may have been cut in the middle.
            let text = "\n" + self.line(notice, time: time) + line
            if output.descriptor.write(text, within: .zero) {
                output.droppedLines = 0
            } else {
                output.droppedLines += 1
            }
        }
    }

    private func line(_ record: LogRecord, time: String) -> String {
        switch format {
        case .text: Self.textLine(record, time: time)
        case .json: Self.jsonLine(record, time: time)
        }
    }

    static func textLine(_ record: LogRecord, time: String) -> String {
        var line = time
        line += " "
        line += record.level.rawValue.uppercased()
        line += String(repeating: " ", count: 6 - record.level.rawValue.count)
        line += record.label
        line += ": "
        line += record.message.description
        for key in LogKey.allCases {
            guard let value = record.metadata[key]?.description, !value.isEmpty else { continue }
            line += " "
            line += key.rawValue
            line += "="
            line += isPlain(value) ? value : quoted(value)
        }
        return line + "\n"
    }

    static func jsonLine(_ record: LogRecord, time: String) -> String {
        var line = #"{"time":""# + time + #"","level":"# + quoted(record.level.rawValue)
        line += #","label":"# + quoted(record.label) + #","message":"# + quoted(record.message.description)
        for key in LogKey.allCases {
            guard let value = record.metadata[key]?.description, !value.isEmpty else { continue }
            line += #",""# + key.rawValue + #"":"#
            if key.isNumber, let number = Int64(value) {
                line += String(number)
            } else {
                line += quoted(value)
            }
        }
        return line + "}\n"
    }

    /// Whether a text needs no quotes to be one word of a line.
    private static func isPlain(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value > 0x20 && !needsEscape($0) }
    }

    /// A JSON string (RFC 8259, 7), with all control characters and line separators escaped, so that a value cannot end
    /// its line or control a terminal.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += #"\""#
            case "\\": result += #"\\"#
            case "\n": result += #"\n"#
            case "\r": result += #"\r"#
            case "\t": result += #"\t"#
            case _ where needsEscape(scalar):
                let digits = String(scalar.value, radix: 16)
                result += #"\u"# + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func needsEscape(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029: true
        default: scalar == "\"" || scalar == "\\"
        }
    }

    /// The current time in UTC to the millisecond (RFC 3339).
    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var fields = tm()
        gmtime_r(&now.tv_sec, &fields)
        func padded(_ number: Int32, _ width: Int = 2) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = padded(fields.tm_year + 1900, 4) + "-" + padded(fields.tm_mon + 1) + "-" + padded(fields.tm_mday)
        let time = padded(fields.tm_hour) + ":" + padded(fields.tm_min) + ":" + padded(fields.tm_sec)
        return date + "T" + time + "." + padded(Int32(now.tv_nsec / 1_000_000), 3) + "Z"
    }
}

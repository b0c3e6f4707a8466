import Foundation
import Glibc
import ServiceLifecycle
import Testing
import TestSupport

@testable import Logging

@Suite(.timeLimit(.minutes(1)))
struct LoggerTests {
    @Test func textLineHasTimeLevelLabelMessageAndKeysInTheListsOrder() throws {
        let lines = try LogCapture.lines(.text, .debug) { handler in
            var logger = Logger(label: "bda.worker", handler: handler)
            logger[metadataKey: .jobID] = "r/tripica.charges/0001"
            logger[metadataKey: .runID] = "r"
            logger.info("job completed", metadata: [.error: "none", .rows: "\(12)"])
        }
        let line = try #require(lines.first)
        #expect(line.contains(#/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO  bda\.worker: job completed /#))
        #expect(line.hasSuffix("job completed run_id=r job_id=r/tripica.charges/0001 rows=12 error=none"))
    }

    @Test func timeIsNowInUTC() throws {
        let before = Date().addingTimeInterval(-0.001)
        let line = try #require(
            try LogCapture.lines(.json, .info) { Logger(label: "l", handler: $0).info("m") }.first)
        let text = try #require(try LogCapture.object(line)["time"] as? String)
        let time = try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        #expect(time >= before && time <= Date())
    }

    @Test func jsonLineParsesAndNumbersAreNumbers() throws {
        let lines = try LogCapture.lines(.json, .info) { handler in
            Logger(label: "bda.worker", handler: handler).warning(
                "part written",
                metadata: [.rows: "1000000", .bytes: "9007199254740993", .detail: "a/b", .code: "40001"])
        }
        let object = try LogCapture.object(try #require(lines.first))
        #expect(object["level"] as? String == "warn")
        #expect(object["label"] as? String == "bda.worker")
        #expect(object["message"] as? String == "part written")
        #expect((object["rows"] as? NSNumber)?.int64Value == 1_000_000)
        #expect((object["bytes"] as? NSNumber)?.int64Value == 9_007_199_254_740_993)
        #expect(object["detail"] as? String == "a/b")
        // A code is a text even where all its characters are digits.
        #expect(object["code"] as? String == "40001")
        #expect(object.count == 8)
    }

    @Test(arguments: LogFormat.allCases)
    func aValueCanNeitherEndItsLineNorSteerATerminal(_ format: LogFormat) throws {
        let evil = "a\nb\r\"c\\ \u{1B}[2J\u{7F}\u{9B}\u{2028}d=\u{0}é🙂"
        let lines = try LogCapture.lines(format, .info) { handler in
            Logger(label: "l", handler: handler).error("m", metadata: [.detail: "\(evil)"])
        }
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(
            !line.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0.value == 0x2028 })
        if format == .json {
            #expect(try LogCapture.text(of: "detail", line) == evil)
        } else {
            #expect(line.contains("detail=\""))
        }
    }

    @Test func emptyValuesAreLeftOut() throws {
        let lines = try LogCapture.lines(.text, .info) { handler in
            Logger(label: "l", handler: handler).info("m", metadata: [.hint: "", .error: "e"])
        }
        #expect(lines.first?.hasSuffix("m error=e") == true)
    }

    @Test func linesBelowTheLevelAreNotWrittenAndNotComputed() throws {
        func unwanted() -> Logger.Metadata {
            Issue.record("metadata of a line that is not written was computed")
            return [:]
        }
        let lines = try LogCapture.lines(.text, .warning) { handler in
            var logger = Logger(label: "l", handler: handler)
            logger.debug("no", metadata: unwanted())
            logger.info("no", metadata: unwanted())
            logger.warning("warning")
            logger.error("error")
            logger.logLevel = .debug
            logger.debug("debug")
        }
        #expect(lines.map { $0.split(separator: ":").last.map(String.init) } == [" warning", " error", " debug"])
    }

    @Test func theLinesOwnMetadataWinOverTheLoggers() throws {
        let lines = try LogCapture.lines(.text, .info) { handler in
            var logger = Logger(label: "l", handler: handler)
            logger[metadataKey: .attempt] = "1"
            var copy = logger
            copy[metadataKey: .attempt] = nil
            logger.info("m", metadata: [.attempt: "2"])
            logger.info("m")
            copy.info("m")
        }
        #expect(lines.map { $0.hasSuffix("attempt=2") } == [true, false, false])
        #expect(lines.map { $0.hasSuffix("attempt=1") } == [false, true, false])
    }

    @Test func linesOfManyThreadsDoNotMix() async throws {
        let text = String(repeating: "x", count: 3000)
        let capture = try LogCapture(.json, .info)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    let logger = Logger(label: "l", handler: capture.handler)
                    for line in 0..<50 {
                        logger.info("m", metadata: [.attempt: "\(task)", .count: "\(line)", .detail: "\(text)"])
                    }
                }
            }
        }
        let lines = try capture.finish()
        #expect(lines.count == 400)
        for line in lines { #expect(try LogCapture.text(of: "detail", line) == text) }
    }

    @Test func levelNamesAreThoseOfTheSetting() {
        #expect(Logger.Level.allCases.map(\.rawValue) == ["debug", "info", "warn", "error"])
        #expect(Logger.Level.debug < .info && Logger.Level.info < .warning && Logger.Level.warning < .error)
        #expect(LogFormat.allCases.map(\.rawValue) == ["text", "json"])
    }

    @Test func keysAreSnakeCaseAndNoneIsTakenByTheLineItself() {
        for key in LogKey.allCases {
            #expect(key.rawValue.wholeMatch(of: #/[a-z][a-z0-9]*(_[a-z0-9]+)*/#) != nil, "\(key.rawValue)")
            #expect(!["time", "level", "label", "message"].contains(key.rawValue))
        }
    }

    @Test func bootstrapSetsWhatNewLoggersBeginWith() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            Logger(label: "before").debug("not written")
            Logger(label: "before").info("text")
            LoggingSystem.bootstrap(format: .json, level: .debug)
            Logger(label: "after").debug("json")
        }
        let text = ChildOutput.standardError(result)
        #expect(!text.contains("not written"))
        #expect(text.contains(" INFO  before: text\n"))
        #expect(text.contains(#""level":"debug","label":"after","message":"json"}"#))
    }

    @Test func aReaderThatHungUpStopsNobody() throws {
        ProcessSignals.ignoreWriteSignals()
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        Logger(label: "l", handler: StreamLogHandler(format: .text, level: .info, descriptor: ends[1])).info("m")
        close(ends[1])
    }

    /// A reader that has stopped delays the program by the limit once, and is told how much it has missed.
    @Test(.timeLimit(.minutes(1))) func aReaderThatHasStoppedStopsNoJob() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let handler = StreamLogHandler(
            format: .text, level: .info, descriptor: ends[1], stallLimit: .milliseconds(50))
        let logger = Logger(label: "l", handler: handler)
        let text = String(repeating: "x", count: 1000)
        for _ in 0..<1000 { logger.info("m", metadata: [.detail: "\(text)"]) }

        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let before = String(decoding: buffer[..<read(ends[0], &buffer, buffer.count)], as: UTF8.self)
        let written = before.split(separator: "\n").filter { $0.hasSuffix("x") }.count
        #expect((1..<1000).contains(written))
        logger.info("after")
        let after = String(decoding: buffer[..<read(ends[0], &buffer, buffer.count)], as: UTF8.self)
        #expect(after.contains("log lines were dropped because the reader was too slow count="))
        #expect(after.hasSuffix("l: after\n"))
    }
}

/// A handler that writes into a file of its own, and what it wrote.
struct LogCapture {
    let handler: StreamLogHandler
    private let file: URL
    private let handle: FileHandle

    init(_ format: LogFormat, _ level: Logger.Level) throws {
        file = FileManager.default.temporaryDirectory.appending(path: "bda-log-\(UUID().uuidString)")
        try Data().write(to: file)
        handle = try FileHandle(forWritingTo: file)
        handler = StreamLogHandler(format: format, level: level, descriptor: handle.fileDescriptor)
    }

    func finish() throws -> [String] {
        try handle.close()
        defer { try? FileManager.default.removeItem(at: file) }
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(text.hasSuffix("\n"))
        return text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    static func lines(
        _ format: LogFormat, _ level: Logger.Level, _ body: (StreamLogHandler) throws -> Void
    ) throws -> [String] {
        let capture = try LogCapture(format, level)
        try body(capture.handler)
        return try capture.finish()
    }

    static func text(of key: String, _ line: String) throws -> String? { try object(line)[key] as? String }

    static func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
}

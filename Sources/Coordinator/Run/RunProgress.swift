import Foundation
import Glibc
import Ledger

/// Shows the progress of a run on standard error: on a terminal as one line that is overwritten, otherwise as a new
/// line every few seconds. It is off if the log format is JSON.
struct RunProgress {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let isOn: Bool
    private let start = ContinuousClock.now
    private var lastText = ""
    private var lastTime: ContinuousClock.Instant?

    init(isOn: Bool) { self.isOn = isOn }

    mutating func show(_ counts: JobCounts) {
        guard isOn else { return }
        let text =
            "jobs \(counts.done)/\(counts.total) done, \(counts.running) running, \(counts.ready) ready, \(counts.blocked) waiting"
            + (counts.failed > 0 ? ", \(counts.failed) failed" : "")
        let now = ContinuousClock.now
        let isDue = lastTime.map { now - $0 >= (isTerminal ? .milliseconds(100) : .seconds(2)) } ?? true
        guard text != lastText, isDue || counts.done == counts.total else { return }
        lastText = text
        lastTime = now
        let seconds = Int((now - start) / .seconds(1))
        write(isTerminal ? "\r\u{1B}[K\(text), \(seconds) s" : "\(text), \(seconds) s\n")
    }

    /// Clears the progress line, so that further output begins on an empty line.
    mutating func end() {
        if isOn, isTerminal, lastTime != nil { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

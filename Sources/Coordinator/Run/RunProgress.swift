import Foundation
import Glibc
import Ledger

/// Shows a run's progress on standard error: one line that is written over on a terminal, a line every few seconds
/// elsewhere. Off when logs are JSON, which have the same figures.
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

    /// Ends the live line, so that what follows begins on a line of its own.
    mutating func end() {
        if isOn, isTerminal, lastTime != nil { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

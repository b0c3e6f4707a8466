/// A point in monotonic time, for C calls that take a number of milliseconds.
package struct Deadline: Sendable, Hashable {
    private let instant: ContinuousClock.Instant

    /// The point `duration` from now.
    package static func after(_ duration: Duration) -> Deadline {
        Deadline(instant: .now.advanced(by: duration))
    }

    private init(instant: ContinuousClock.Instant) { self.instant = instant }

    /// What is left, never negative.
    package var remaining: Duration { max(.zero, ContinuousClock.now.duration(to: instant)) }

    /// What is left in whole milliseconds, rounded up, so that a wait of it does not end early.
    package var remainingMilliseconds: Int32 {
        let left = remaining.components
        let milliseconds = left.seconds * 1000 + (left.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return Int32(clamping: milliseconds)
    }

    /// Whether it has passed.
    package var hasPassed: Bool { remaining == .zero }
}

/// A point in monotonic time, for C calls that take a number of milliseconds.
package struct Deadline: Sendable, Hashable {
    private let instant: ContinuousClock.Instant

    package static func after(_ duration: Duration) -> Deadline {
        Deadline(instant: .now.advanced(by: duration))
    }

    private init(instant: ContinuousClock.Instant) { self.instant = instant }

    /// The remaining time, never negative.
    package var remaining: Duration { max(.zero, ContinuousClock.now.duration(to: instant)) }

    /// The remaining time in whole milliseconds, rounded up, so that a wait of this length does not end early.
    package var remainingMilliseconds: Int32 {
        Int32(clamping: remaining.milliseconds)
    }

    package var hasPassed: Bool { remaining == .zero }
}

/// The number of attempts and the pauses between them: exponential backoff with jitter.
///
/// The wait after failed attempt n is `base * 2^(n-1)`, at most `maximum`; half of it is fixed, the other half random
/// ("equal jitter" in Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Full jitter spreads
/// retries slightly better, but can retry immediately; an overloaded store or database needs a pause.
package struct RetryPolicy: Sendable, Hashable {
    /// Attempts in all, the first included; at least 1.
    package let attempts: Int
    /// The wait after the first failed attempt, before jitter.
    package let base: Duration
    /// The longest wait, before jitter.
    package let maximum: Duration

    /// - Parameters:
    ///   - attempts: attempts in all, the first included; at least 1.
    ///   - base: the wait after the first failed attempt, before jitter.
    ///   - maximum: the longest wait.
    package init(attempts: Int, base: Duration, maximum: Duration) {
        precondition(attempts >= 1 && base >= .zero && maximum >= .zero, "a retry policy without attempts")
        self.attempts = attempts
        self.base = base
        self.maximum = maximum
    }

    /// Whether another attempt follows failed attempt number `attempt`, counted from 1.
    package func allowsAttempt(after attempt: Int) -> Bool { attempt < attempts }

    /// The wait after failed attempt number `attempt`, counted from 1: from half of the backoff to all of it.
    package func delay(afterAttempt attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        let backoff = backoff(afterAttempt: attempt)
        return backoff / 2 + backoff / 2 * Double.random(in: 0...1, using: &generator)
    }

    /// The wait after failed attempt number `attempt`, with the system's random numbers.
    package func delay(afterAttempt attempt: Int) -> Duration {
        var generator = SystemRandomNumberGenerator()
        return delay(afterAttempt: attempt, using: &generator)
    }

    /// The wait before jitter.
    private func backoff(afterAttempt attempt: Int) -> Duration {
        precondition(attempt >= 1, "attempts are counted from 1")
        var backoff = min(base, maximum)
        for _ in 1..<min(attempt, 63) where backoff < maximum { backoff = min(backoff * 2, maximum) }
        return backoff
    }
}

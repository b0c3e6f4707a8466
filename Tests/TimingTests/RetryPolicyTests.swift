import Testing

@testable import Timing

struct RetryPolicyTests {
    private let policy = RetryPolicy(attempts: 5, base: .seconds(5), maximum: .seconds(300))

    @Test(arguments: zip(1...9, [5, 10, 20, 40, 80, 160, 300, 300, 300]))
    func theWaitIsBetweenHalfTheBackoffAndAllOfIt(_ attempt: Int, _ backoff: Int) {
        var generator = Sequence0to1(steps: 200)
        let delays = (0...200).map { _ in policy.delay(afterAttempt: attempt, using: &generator) }
        for delay in delays {
            #expect(delay >= .seconds(backoff) / 2 && delay <= .seconds(backoff))
        }
        // Jitter spreads over the whole of the second half.
        #expect(delays.min()! < .seconds(backoff) * 0.51 && delays.max()! > .seconds(backoff) * 0.99)
    }

    @Test func anAttemptFarBeyondDoesNotOverflow() {
        #expect(policy.delay(afterAttempt: .max) <= .seconds(300))
        #expect(RetryPolicy(attempts: 1, base: .zero, maximum: .zero).delay(afterAttempt: 9) == .zero)
        let flat = RetryPolicy(attempts: 1, base: .seconds(400), maximum: .seconds(300))
        #expect(flat.delay(afterAttempt: 1) <= .seconds(300))
    }

    @Test func attemptsAreBounded() {
        #expect(policy.allowsAttempt(after: 4))
        #expect(!policy.allowsAttempt(after: 5))
    }

    /// Numbers that go evenly from the least to the greatest.
    private struct Sequence0to1: RandomNumberGenerator {
        let steps: UInt64
        var step: UInt64 = 0
        init(steps: UInt64) { self.steps = steps }
        mutating func next() -> UInt64 {
            defer { step = (step + 1) % (steps + 1) }
            return step == steps ? .max : .max / steps * step
        }
    }
}

import Testing

@testable import CommandLineOptions
@testable import Settings
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

struct ExitCodeTests {
    @Test func isTheDesignsTable() {
        let again: [Int32: Bool?] = [
            0: nil, 1: false, 2: false, 3: false, 10: false, 11: false, 12: false, 13: true, 14: true, 20: true,
            21: true, 22: true, 30: false, 31: true, 32: true, 40: false,
        ]
        #expect(Set(ExitCode.allCases.map(\.rawValue)) == Set(again.keys))
        for code in ExitCode.allCases {
            #expect(code.isWorthSchedulingAgain == again[code.rawValue]!, "\(code)")
            #expect(!code.meaning.isEmpty)
        }
    }
}

struct NearestNameTests {
    @Test(arguments: [
        ("--partitons", "--partitions"), ("--partitions ", "--partitions"), ("--sytsem", "--systems"),
        ("--dtae", "--date"),
        ("--DATE", "--date"), ("-date", "--date"), ("--no-such-thing", nil), ("", nil),
    ])
    func findsWhatIsNear(_ typed: String, _ meant: String?) {
        #expect(NearestName.find(typed, among: ["--date", "--partitions", "--systems"]) == meant)
    }

    @Test func distanceCountsEdits() {
        func distance(_ left: String, _ right: String) -> Int {
            NearestName.distance(Array(left.utf8), Array(right.utf8))
        }
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "") == 3)
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("ab", "ba") == 1)
        #expect(distance("same", "same") == 0)
    }
}

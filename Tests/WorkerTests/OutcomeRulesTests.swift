import JobModel
import Postgres
import Testing
import Timing

@testable import Worker

@Suite struct OutcomeRulesTests {
    private let retry = RetryPolicy(attempts: 5, base: .seconds(4), maximum: .seconds(16))

    private func outcome(_ error: any Error, stopped: StopReason? = nil, attempt: Int = 1) -> AttemptFailure {
        OutcomeRules.failure(for: error, stopped: stopped, attempt: attempt, retry: retry)
    }

    private func isRetry(_ failure: AttemptFailure, within range: ClosedRange<Double>) -> Bool {
        if case .retry(let seconds) = failure.outcome { return range.contains(seconds) }
        return false
    }

    @Test(arguments: ["40001", "40P01", "08006", "53300", "53100", "57P01", "57P03", "55P03"])
    func whatMayPassIsTriedAgain(_ sqlState: String) {
        let failure = outcome(PostgresError(sqlState: sqlState, message: "m", action: "a"))
        #expect(isRetry(failure, within: 2...4))
        #expect(failure.code == sqlState)
    }

    @Test(arguments: ["42601", "42P01", "42501", "22012", "23505", "BDA01"])
    func whatNeverPassesIsRejected(_ sqlState: String) {
        #expect(outcome(PostgresError(sqlState: sqlState, message: "m", action: "a")).outcome == .rejected)
    }

    @Test func aLostConnectionIsTriedAgain() {
        #expect(
            isRetry(
                outcome(PostgresError(sqlState: nil, message: "m", action: "a", isConnectionLost: true)), within: 2...4)
        )
    }

    @Test func theBackoffGrowsToItsLimit() {
        let error = PostgresError(sqlState: "40001", message: "m", action: "a")
        #expect(isRetry(outcome(error, attempt: 2), within: 4...8))
        #expect(isRetry(outcome(error, attempt: 9), within: 8...16))
    }

    /// The reason for which it was stopped counts, not the error that stopping it made.
    @Test func stopsComeFirst() {
        let cancelled = PostgresError(sqlState: "57014", message: "m", action: "a")
        #expect(outcome(cancelled, stopped: .claimLost).outcome == .lost)
        #expect(outcome(cancelled, stopped: .leaseOver).outcome == .lost)
        #expect(outcome(cancelled, stopped: .shutdown).outcome == .interrupted)
        #expect(isRetry(outcome(cancelled, stopped: .timeLimit(seconds: 9)), within: 2...4))
    }

    @Test func aLostSnapshotEndsTheRun() {
        #expect(outcome(UnknownRun(runID: try! RunID("20260401t031500123z_7f3a"))).code == "unexpected")
    }
}

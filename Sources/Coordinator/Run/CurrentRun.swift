import BlockingIO
import JobModel
import Ledger

/// The run that the coordinator is working on. Services read it, and can interrupt its current step.
final class CurrentRun: Sendable {
    private struct State {
        var run: RunRecord?
        var counts = JobCounts()
        var interruption: RunFailure?
        var waiter: OneShot<Void>?
    }

    private let state = Mutex(State())

    /// The run's row as last read or written; nil before the row exists.
    var run: RunRecord? { state.withLock { $0.run } }

    /// The job counts that the job loop read last.
    var counts: JobCounts { state.withLock { $0.counts } }

    /// Sets another run, or another state of the same run. An interruption of an earlier run does not affect a new one.
    func set(_ run: RunRecord) {
        state.withLock { state in
            if state.run?.runID != run.runID { state = State(waiter: state.waiter) }
            state.run = run
        }
    }

    /// Forgets the run before another one begins.
    func clear() { state.withLock { $0 = State(waiter: $0.waiter) } }

    func note(_ counts: JobCounts) { state.withLock { $0.counts = counts } }

    /// Cancels the current step of the run, which then fails with `failure`. Later interruptions are ignored.
    func interrupt(_ runID: RunID, with failure: RunFailure) {
        let waiter = state.withLock { state -> OneShot<Void>? in
            guard state.run?.runID == runID, state.interruption == nil else { return nil }
            state.interruption = failure
            return state.waiter
        }
        waiter?.resolve(.success(()))
    }

    /// Performs `work`, and throws the failure of an interruption if one happens before it ends. Returns after `work`
    /// has ended, which is soon after a cancellation, because each of its calls has a deadline.
    func interruptible<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let waiter = OneShot<Void>()
        let isInterrupted = state.withLock { state in
            state.waiter = waiter
            return state.interruption != nil
        }
        if isInterrupted { waiter.resolve(.success(())) }
        let result: Result<Value, any Error> = await withTaskGroup(of: Result<Value, any Error>?.self) { group in
            group.addTask {
                do { return .success(try await work()) } catch { return .failure(error) }
            }
            group.addTask {
                try? await waiter.value
                return nil
            }
            var result: Result<Value, any Error>?
            while result == nil {
                result = await group.next()!
                group.cancelAll()
            }
            return result!
        }
        if case .failure = result, let failure = state.withLock({ $0.interruption }) { throw failure }
        return try result.get()
    }
}

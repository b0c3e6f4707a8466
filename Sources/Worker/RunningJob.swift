import BlockingIO
import Ledger
import struct Synchronization.Atomic

/// A running attempt, as seen by the tasks beside its slot: they read its progress and may stop it.
final class RunningJob: Sendable {
    let claim: Claim
    private let cancelStatement: @Sendable () -> Void
    /// Rows read so far.
    let progress = RowProgress()
    private let state: Mutex<State>

    private struct State {
        var reason: StopReason?
        var cancel: (@Sendable () -> Void)?
        var isEnded = false
        var leaseEnd: ContinuousClock.Instant
    }

    /// - Parameters:
    ///   - leaseEnd: the end of the lease, by this machine's monotonic clock.
    ///   - cancelStatement: requests that the server ends the running statement of the attempt's session.
    init(claim: Claim, leaseEnd: ContinuousClock.Instant, cancelStatement: @escaping @Sendable () -> Void) {
        self.claim = claim
        self.cancelStatement = cancelStatement
        state = Mutex(State(leaseEnd: leaseEnd))
    }

    /// Notes that the lease was renewed.
    func holdLease(until end: ContinuousClock.Instant) { state.withLock { $0.leaseEnd = end } }

    var isLeaseOver: Bool { state.withLock { $0.leaseEnd <= ContinuousClock.now } }

    /// Nil if the attempt was not stopped.
    var stopReason: StopReason? { state.withLock { $0.reason } }

    /// Sets how `stop` cancels the task that does the work.
    func attach(_ cancel: @escaping @Sendable () -> Void) {
        let isStopped = state.withLock { state in
            state.cancel = cancel
            return state.reason != nil
        }
        if isStopped { cancel() }
    }

    /// Stops the work: the task is cancelled, which ends transfers, and the running statement is cancelled. The first
    /// reason counts. A cancellation that arrives between two statements is lost, so it is sent again until the attempt
    /// has ended. Returns false if the attempt was stopped or had ended before.
    @discardableResult
    func stop(_ reason: StopReason) async -> Bool {
        let (isFirst, cancel) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
            guard state.reason == nil, !state.isEnded else { return (false, nil) }
            state.reason = reason
            return (true, state.cancel)
        }
        cancel?()
        while isFirst, !(state.withLock { $0.isEnded }) {
            cancelStatement()
            // Not shortened by a shutdown of the worker: this ends with the attempt.
            await Task { try? await Task.sleep(for: .milliseconds(200)) }.value
        }
        return isFirst
    }

    /// Notes that the attempt has ended; it cannot be stopped any more. Returns true if it was stopped before: a
    /// cancellation may then still be on its way, and the session must not be used again.
    @discardableResult
    func end() -> Bool {
        state.withLock { state in
            state.isEnded = true
            return state.reason != nil
        }
    }
}

/// The number of rows that an attempt has read: the session's thread counts, any thread reads.
final class RowProgress: Sendable {
    private let count = Atomic<Int>(0)

    var rows: Int { count.load(ordering: .relaxed) }

    func set(_ rows: Int) { count.store(rows, ordering: .relaxed) }
}

final class RunningJobs: Sendable {
    private struct State {
        var jobs: [ObjectIdentifier: RunningJob] = [:]
        var isInterrupted = false
    }

    private let state = Mutex(State())

    var all: [RunningJob] { state.withLock { Array($0.jobs.values) } }

    /// Adds an attempt and returns the new count. After `interruptAll` the attempt is stopped immediately: its claim
    /// was being made when the drain limit passed.
    func insert(_ job: RunningJob) -> Int {
        let (count, isInterrupted) = state.withLock { state in
            state.jobs[ObjectIdentifier(job)] = job
            return (state.jobs.count, state.isInterrupted)
        }
        if isInterrupted { interrupt(job) }
        return count
    }

    /// Removes an attempt and returns the new count.
    func remove(_ job: RunningJob) -> Int {
        state.withLock { state in
            state.jobs[ObjectIdentifier(job)] = nil
            return state.jobs.count
        }
    }

    /// Stops all attempts because the worker shuts down, including those that are added later.
    func interruptAll() {
        let jobs = state.withLock { state in
            state.isInterrupted = true
            return Array(state.jobs.values)
        }
        jobs.forEach(interrupt)
    }

    /// The caller does not wait; the slot waits for the end of its job.
    private func interrupt(_ job: RunningJob) { Task { await job.stop(.shutdown) } }
}

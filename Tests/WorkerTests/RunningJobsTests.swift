import BlockingIO
import JobModel
import Ledger
import Testing

@testable import Worker

@Suite(.timeLimit(.minutes(1))) struct RunningJobsTests {
    private func job(_ cancelled: OneShot<Void>) throws -> RunningJob {
        let claim = Claim.ofCoordinator(try JobID("20260401t031500123z_7f3a/tripica.charges/0003"))
        return RunningJob(claim: claim, leaseEnd: .now + .seconds(30)) { cancelled.resolve(.success(())) }
    }

    private func isShutdown(_ job: RunningJob) -> Bool {
        if case .shutdown = job.stopReason { return true }
        return false
    }

    @Test func theSweepStopsWhatRuns() async throws {
        let (jobs, cancelled) = (RunningJobs(), OneShot<Void>())
        let job = try job(cancelled)
        #expect(jobs.insert(job) == 1)
        #expect(job.stopReason == nil)
        jobs.interruptAll()
        try await cancelled.value
        #expect(isShutdown(job))
        job.end()
        #expect(jobs.remove(job) == 0)
    }

    /// Its claim was under way when the drain budget ended: the job appears after the sweep.
    @Test func aJobThatAppearsAfterTheSweepIsStopped() async throws {
        let (jobs, cancelled, taskCancelled) = (RunningJobs(), OneShot<Void>(), OneShot<Void>())
        jobs.interruptAll()
        let job = try job(cancelled)
        #expect(jobs.insert(job) == 1)
        try await cancelled.value
        #expect(isShutdown(job))
        // The slot begins the work now: it is cancelled at once.
        job.attach { taskCancelled.resolve(.success(())) }
        try await taskCancelled.value
        job.end()
    }
}

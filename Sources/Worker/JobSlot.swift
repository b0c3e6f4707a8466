import CommandLineOptions
import Foundation
import HealthEndpoint
import JobModel
import Kafka
import Ledger
import Logging
import Metrics
import Postgres
import ServiceLifecycle
import Settings
import Timing

/// One slot of a worker: it claims a job, runs it, reports its end, and claims the next one.
///
/// The ledger decides about claims: a message is a hint that is acknowledged as soon as the claim is won or refused. If
/// no message came for a second, the slot asks the ledger for a claimable job, so that no job waits behind a busy
/// worker's partition, a lost message or a rebalance.
struct JobSlot: Sendable {
    let number: Int
    let worker: WorkerContext

    /// Runs until the worker drains. Returns after the last job has ended.
    func run() async {
        let ledger = Ledger(worker.settings.database, purpose: "worker slot \(number)")
        var failures = 0
        // As long as the ledger has claimable jobs without a message, or after the claim of a message's job was refused,
        // the slot does not wait.
        var wait = Duration.seconds(1)
        while !worker.drain.isRequested {
            do {
                _ = try await ledger.connection.connected()
                worker.readiness.set("database", isReady: true)
                let (taken, asksAtOnce) = try await take(from: ledger, within: wait)
                wait = asksAtOnce ? .zero : .seconds(1)
                if let taken { await perform(taken, from: ledger) }
                failures = 0
            } catch is CancellationError {
                break
            } catch {
                failures += 1
                await ledger.close()
                worker.readiness.set("database", isReady: false, reason: "\(error)")
                worker.logger.warning(
                    "unable to take a job",
                    metadata: [.error: "\(error)", .hint: "\((error as? any ErrorWithExitCode)?.hint ?? "")"])
                await worker.drain.wait(atMost: worker.settings.idleRetry.delay(afterAttempt: failures))
            }
        }
        await ledger.close()
    }

    /// Claims a job: the job of a message if one comes in time, else one from the ledger. Returns no claim if no job is
    /// claimable, and whether the next call is to ask the ledger without waiting for a message.
    private func take(
        from ledger: Ledger, within time: Duration
    ) async throws -> (taken: WorkerContext.Taken?, asksAtOnce: Bool) {
        guard let message = try await worker.nextMessage(within: time) else {
            if worker.drain.isRequested { return (nil, false) }
            let taken = try await worker.claim(nil, on: ledger)
            if taken != nil { worker.metrics.claimed("from_ledger") }
            return (taken, taken != nil)
        }
        // A received message is settled here even during a drain, because it was taken off the queue.
        guard let jobID = worker.decode(message) else {
            await worker.acknowledge(message)
            return (nil, false)
        }
        let taken = try await worker.claim(jobID, on: ledger)
        await worker.acknowledge(message)
        worker.metrics.claimed(taken == nil ? "refused" : "won")
        return (taken, taken == nil)
    }

    /// Runs the job and reports its end. A session whose statement may have been cancelled is closed: a late
    /// cancellation would hit the statement that records the end, so that statement runs on a new session.
    private func perform(_ taken: WorkerContext.Taken, from ledger: Ledger) async {
        let claim = taken.claim
        let session = taken.session
        let job = RunningJob(claim: claim, leaseEnd: taken.leaseEnd) { session.cancel() }
        worker.metrics.running(worker.running.insert(job))
        defer { worker.metrics.running(worker.running.remove(job)) }
        var logger = worker.logger
        logger[metadataKey: .jobID] = "\(claim.jobID)"
        logger[metadataKey: .attempt] = "\(claim.attempt)"
        if let former = claim.former {
            worker.metrics.takeovers.increment(by: 1)
            logger.warning(
                "taking the job over from a worker whose lease ran out", metadata: [.backendPID: "\(former.pid)"])
        }
        var retry = RetryPolicy(attempts: 1, base: .seconds(5), maximum: .seconds(300))
        do {
            let run = try await worker.runs.run(claim.jobID.run, from: ledger)
            retry = RetryPolicy(
                attempts: run.maxAttempts, base: .seconds(run.retryBaseSeconds), maximum: .seconds(run.retryMaxSeconds))
            let script = try await worker.runs.script(of: claim.jobID.segment, in: run, from: ledger)
            await worker.events.publish(
                Event(
                    run: run.context,
                    body: JobStarted(jobID: claim.jobID, attempt: claim.attempt, workerID: worker.settings.workerID)))
            logger.debug("job started")
            let result = try await withTimeLimit(of: run.jobTimeoutSeconds, for: job) {
                try await worker.runner.run(job, of: run, script: script, on: session, ledger: ledger)
            }
            if job.end() { await session.close() }
            guard let result else { return logger.info("another attempt has completed the job before") }
            worker.metrics.completed(claim, result)
            logger.info(
                "job completed",
                metadata: [
                    .rows: "\(result.rows)", .bytes: "\(result.bytes)", .durationMs: "\(result.durationMs)",
                ])
            await worker.events.publish(
                Event(
                    run: run.context,
                    body: JobCompleted(
                        jobID: claim.jobID, attempt: claim.attempt, workerID: worker.settings.workerID,
                        rows: result.rows,
                        bytes: result.bytes, partCount: result.parts.count, totals: result.totals,
                        durationMs: result.durationMs)))
        } catch {
            job.end()
            await session.close()
            let failure = OutcomeRules.failure(
                for: error, stopped: job.stopReason, attempt: claim.attempt, retry: retry)
            await report(failure, of: claim, to: ledger, logger: logger)
        }
    }

    /// Records the end of an attempt in the ledger, then publishes it. While the ledger cannot be reached, this is
    /// tried again until the lease ends.
    private func report(_ failure: AttemptFailure, of claim: Claim, to ledger: Ledger, logger: Logger) async {
        worker.metrics.ended(failure)
        let metadata: Logger.Metadata = [
            .outcome: "\(failure.outcome.name)", .code: "\(failure.code)", .error: "\(failure.message)",
            .hint: "\(failure.hint ?? "")",
        ]
        if case .lost = failure.outcome {
            logger.warning("the claim was lost; the attempt changes nothing", metadata: metadata)
            return
        }
        let deadline = ContinuousClock.now + .seconds(worker.settings.leaseSeconds)
        var delay = Duration.milliseconds(100)
        while true {
            do {
                let isMine = try await ledger.jobs.endAttempt(
                    claim, outcome: failure.outcome, code: failure.code, message: failure.message, hint: failure.hint)
                guard isMine else {
                    logger.warning(
                        "the claim was lost before the end of the attempt could be recorded", metadata: metadata)
                    return
                }
                break
            } catch {
                guard ContinuousClock.now < deadline, !Task.isCancelled else {
                    logger.error(
                        "unable to record the end of the attempt; its lease will run out",
                        metadata: [.error: "\(error)"])
                    return
                }
                try? await Task.sleep(for: delay)
                delay = min(delay * 2, .seconds(2))
            }
        }
        switch failure.outcome {
        case .rejected: logger.error("job rejected", metadata: metadata)
        default: logger.warning("attempt ended without a result", metadata: metadata)
        }
        guard let run = try? await worker.runs.run(claim.jobID.run, from: ledger) else { return }
        var retryAt: String?
        if case .retry(let seconds) = failure.outcome {
            retryAt = Timestamp.text(of: Date(timeIntervalSinceNow: seconds))
        }
        await worker.events.publish(
            Event(
                run: run.context,
                body: JobFailed(
                    jobID: claim.jobID, attempt: claim.attempt, workerID: worker.settings.workerID,
                    outcome: failure.outcome.name, code: failure.code, message: failure.message, hint: failure.hint,
                    retryAt: retryAt)))
    }

    /// Runs the work in a task of its own, which `RunningJob.stop` can cancel, and stops it after the time limit.
    private func withTimeLimit<Value: Sendable>(
        of seconds: Int, for job: RunningJob, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task { try await work() }
        job.attach { task.cancel() }
        let timer = Task {
            try await Task.sleep(for: .seconds(seconds))
            await job.stop(.timeLimit(seconds: seconds))
        }
        defer { timer.cancel() }
        return try await task.value
    }
}

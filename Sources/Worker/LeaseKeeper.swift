import JobModel
import Ledger
import Logging
import Metrics
import ServiceLifecycle
import Settings

/// Renews the leases of running jobs, and stops a job whose claim is lost: within two seconds, because until then two
/// workers do the same work.
struct LeaseKeeper: Service {
    let worker: WorkerContext

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await lookAtClaims() }
            group.addTask { await watchClock() }
        }
    }

    /// Reads the ledger once a second while jobs run, in one statement for all of them. Every third of the lease
    /// duration, which leaves three tries, that statement renews the leases; in between it only reads.
    private func lookAtClaims() async {
        let lease = Duration.seconds(worker.settings.leaseSeconds)
        var lastRenewal: ContinuousClock.Instant?
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do { try await Task.sleep(for: min(lease / 3, .seconds(1))) } catch { return }
                let jobs = worker.running.all.filter { $0.stopReason == nil }
                if jobs.isEmpty { continue }
                let now = ContinuousClock.now
                let isRenewal = lastRenewal.map { now - $0 >= lease / 3 } ?? true
                do {
                    let held: Set<JobID>
                    if isRenewal {
                        held = try await worker.ledger.jobs.renew(
                            jobs.map { ($0.claim, $0.progress.rows) }, leaseSeconds: worker.settings.leaseSeconds)
                        lastRenewal = now
                        // Counted from before the statement was sent: never longer than the lease in the ledger.
                        for job in jobs where held.contains(job.claim.jobID) { job.holdLease(until: now + lease) }
                    } else {
                        held = try await worker.ledger.jobs.heldClaims(of: jobs.map(\.claim))
                    }
                    for job in jobs where !held.contains(job.claim.jobID) {
                        group.addTask { await stop(job, .claimLost) }
                    }
                } catch {
                    worker.logger.log(
                        level: isRenewal ? .warning : .debug, "unable to read the claims",
                        metadata: [.error: "\(error)"])
                }
            }
        }
    }

    /// Stops jobs whose lease could not be renewed in time. The ledger may then have given them to another worker. A
    /// worker that cannot reach the ledger must assume so; at worst the work is done again.
    private func watchClock() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do { try await Task.sleep(for: .milliseconds(250)) } catch { return }
                for job in worker.running.all where job.stopReason == nil && job.isLeaseOver {
                    group.addTask { await stop(job, .leaseOver) }
                }
            }
        }
    }

    private func stop(_ job: RunningJob, _ reason: StopReason) async {
        if await job.stop(reason) { worker.metrics.leasesLost.increment(by: 1) }
    }
}

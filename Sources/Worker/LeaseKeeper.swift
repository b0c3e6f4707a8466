import JobModel
import Service
import Warehouse

/// Renews the leases of the jobs under way, and stops those whose claim is lost.
struct LeaseKeeper: Service {
    let worker: WorkerContext

    func run() async throws {
        // Three tries before a lease runs out.
        let interval = Duration.milliseconds(worker.settings.leaseSeconds * 1000 / 3)
        while !Task.isCancelled {
            do { try await Task.sleep(for: interval) } catch { return }
            let jobs = worker.running.all
            if jobs.isEmpty { continue }
            do {
                let held = try await worker.ledger.renew(
                    jobs.map { ($0.claim, $0.rows) }, leaseSeconds: worker.settings.leaseSeconds)
                let lost = jobs.filter { !held.contains($0.claim.jobID) }
                await withDiscardingTaskGroup { group in
                    for job in lost {
                        worker.metrics.leasesLost.increment(by: 1)
                        group.addTask { await job.stop(.claimLost) }
                    }
                }
            } catch {
                worker.logger.warning("unable to renew the leases", metadata: [.error: "\(error)"])
            }
        }
    }
}

import JobModel
import Ledger
import Metrics

struct WorkerMetrics: Sendable {
    let registry: MetricsRegistry
    let takeovers: Counter
    let leasesLost: Counter
    let deadLetters: Counter
    private let runningJobs: Gauge

    init(registry: MetricsRegistry, slots: Int) {
        self.registry = registry
        takeovers = Counter(label: .takeovers, registry: registry)
        leasesLost = Counter(label: .lostLeases, registry: registry)
        deadLetters = Counter(label: .deadLetters, registry: registry)
        runningJobs = Gauge(label: .runningJobs, registry: registry)
        Gauge(label: .slots, registry: registry).record(slots)
        runningJobs.record(0)
    }

    /// Counts an attempt to claim a job: `won`, `refused` or `from_ledger`.
    func claimed(_ result: String) {
        Counter(label: .claims, dimensions: [("result", result)], registry: registry).increment(by: 1)
    }

    func running(_ count: Int) { runningJobs.record(count) }

    func completed(_ claim: Claim, _ result: JobResult) {
        let segment = claim.jobID.segment.description
        Counter(label: .jobs, dimensions: [("outcome", "completed")], registry: registry).increment(by: 1)
        Histogram(label: .jobDuration, dimensions: [("segment", segment)], registry: registry)
            .record(duration: .milliseconds(result.durationMs))
        guard !result.parts.isEmpty else { return }
        Counter(label: .rows, dimensions: [("dataset", segment)], registry: registry).increment(by: result.rows)
        Counter(label: .bytes, dimensions: [("dataset", segment)], registry: registry).increment(by: result.bytes)
        Counter(label: .parts, dimensions: [("dataset", segment)], registry: registry).increment(by: result.parts.count)
    }

    func ended(_ failure: AttemptFailure) {
        Counter(label: .jobs, dimensions: [("outcome", failure.outcome.name)], registry: registry).increment(by: 1)
        Counter(label: .jobFailures, dimensions: [("code", failure.code)], registry: registry).increment(by: 1)
    }
}

import Ledger
import Metrics

struct RunMetrics: Sendable {
    private let openJobs: Gauge
    private let doneJobs: Gauge

    init(registry: MetricsRegistry) {
        openJobs = Gauge(label: .openJobs, registry: registry)
        doneJobs = Gauge(label: .doneJobs, registry: registry)
    }

    func record(_ counts: JobCounts) {
        openJobs.record(counts.ready + counts.running)
        doneJobs.record(counts.done)
    }
}

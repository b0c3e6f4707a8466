/// Counts what happened, in swift-metrics' call shape:
///
///     let jobs = Counter(label: .jobs, dimensions: [("outcome", "completed")], registry: registry)
///     jobs.increment()
///
/// Two counters of the same label and dimensions are one series, which is 0 from the first on. Dimension values come from
/// closed sets, never from the wire. All three types may be used from any thread.
package struct Counter: Sendable {
    private let series: MetricSeries

    /// The series of `label` with exactly the dimensions that `label` has, in any order.
    package init(label: MetricName, dimensions: [(String, String)] = [], registry: MetricsRegistry) {
        series = registry.series(label, .counter, dimensions)
    }

    /// Adds 1.
    package func increment() { series.add(1) }

    /// Adds `amount`, which is not negative.
    package func increment(by amount: some BinaryInteger) {
        precondition(amount >= 0, "a counter only grows")
        series.add(Double(amount))
    }
}

/// A value that goes up and down. It has no series until one is recorded.
package struct Gauge: Sendable {
    private let series: MetricSeries

    /// The series of `label` with exactly the dimensions that `label` has, in any order.
    package init(label: MetricName, dimensions: [(String, String)] = [], registry: MetricsRegistry) {
        series = registry.series(label, .gauge, dimensions)
    }

    /// Sets the value.
    package func record(_ value: some BinaryInteger) { series.set(Double(value)) }

    /// Sets the value.
    package func record(_ value: Double) { series.set(value) }

    /// The value is not known, until the next is recorded: that is not the value 0.
    package func clear() { series.set(nil) }
}

/// Counts times by how long they are.
package struct Histogram: Sendable {
    private let series: MetricSeries

    /// The series of `label` with exactly the dimensions that `label` has, in any order.
    package init(label: MetricName, dimensions: [(String, String)] = [], registry: MetricsRegistry) {
        series = registry.series(label, .histogram, dimensions)
    }

    /// Adds one time.
    package func record(duration: Duration) { series.observe(duration / .seconds(1)) }
}

/// Counts events, in swift-metrics' call shape:
///
///     let jobs = Counter(label: .jobs, dimensions: [("outcome", "completed")], registry: registry)
///     jobs.increment()
///
/// Two counters of the same label and dimensions are one series, which has the value 0 from the start. Dimension values
/// come from closed sets, never from messages. All three types may be used from any thread.
package struct Counter: Sendable {
    private let series: MetricSeries

    /// The series of `label` with exactly the dimensions that `label` has, in any order.
    package init(label: MetricName, dimensions: [(String, String)] = [], registry: MetricsRegistry) {
        series = registry.series(label, .counter, dimensions)
    }

    package func increment() { series.add(1) }

    /// `amount` must not be negative.
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

    package func record(_ value: some BinaryInteger) { series.set(Double(value)) }

    package func record(_ value: Double) { series.set(value) }

    /// Removes the value until the next one is recorded: an unknown value is not 0.
    package func clear() { series.set(nil) }
}

/// Counts durations by their length.
package struct Histogram: Sendable {
    private let series: MetricSeries

    /// The series of `label` with exactly the dimensions that `label` has, in any order.
    package init(label: MetricName, dimensions: [(String, String)] = [], registry: MetricsRegistry) {
        series = registry.series(label, .histogram, dimensions)
    }

    package func record(duration: Duration) { series.observe(duration / .seconds(1)) }
}

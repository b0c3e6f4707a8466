internal import Metrics

struct KafkaConsumerMetrics: Sendable {
    let rebalances: Counter
    let lostAssignments: Counter
    let staleAcknowledgements: Counter
    let failedCommits: Counter
    let rejoins: Counter
    let readingBlocked: Gauge
    let assignedPartitions: Gauge
    let connectedBrokers: Gauge
    private let lag: Gauge

    init(registry: MetricsRegistry) {
        rebalances = Counter(label: .kafkaRebalances, registry: registry)
        lostAssignments = Counter(label: .kafkaLostAssignments, registry: registry)
        staleAcknowledgements = Counter(label: .kafkaStaleAcknowledgements, registry: registry)
        failedCommits = Counter(label: .kafkaFailedCommits, registry: registry)
        rejoins = Counter(label: .kafkaRejoins, registry: registry)
        readingBlocked = Gauge(label: .kafkaReadingBlocked, registry: registry)
        assignedPartitions = Gauge(label: .kafkaAssignedPartitions, registry: registry)
        connectedBrokers = Gauge(label: .kafkaConnectedBrokers, registry: registry)
        lag = Gauge(label: .kafkaLag, registry: registry)
    }

    func record(lag messages: Int64?) {
        if let messages { lag.record(messages) } else { lag.clear() }
    }
}

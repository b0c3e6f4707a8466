/// The names of the Kafka topics and of the consumer group.
package struct Topics: Sendable, Hashable {
    /// The prefix of every name, from `BDA_TOPIC_PREFIX`; it may be empty.
    package let prefix: String

    package init(prefix: String) { self.prefix = prefix }

    /// Job requests, for workers.
    package var jobs: String { "\(prefix)bda.jobs.v1" }
    /// Job events, for the coordinator and for monitoring.
    package var events: String { "\(prefix)bda.events.v1" }
    /// Run events, for consumers of the export.
    package var runs: String { "\(prefix)bda.runs.v1" }
    /// Messages that cannot be decoded.
    package var deadLetters: String { "\(prefix)bda.jobs.dlq.v1" }
    /// The consumer group of all workers.
    package var workerGroup: String { "\(prefix)bda.workers" }
}

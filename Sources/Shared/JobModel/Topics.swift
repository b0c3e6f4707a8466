/// The product's topics.
package struct Topics: Sendable, Hashable {
    /// What stands before every name, by setting.
    package let prefix: String

    /// The topics under a prefix, which may be empty.
    package init(prefix: String) { self.prefix = prefix }

    /// Job requests, for workers.
    package var jobs: String { "\(prefix)bda.jobs.v1" }
    /// Job events, for the coordinator and the curious.
    package var events: String { "\(prefix)bda.events.v1" }
    /// Run events: what BI consumes.
    package var runs: String { "\(prefix)bda.runs.v1" }
    /// Messages that cannot be decoded.
    package var deadLetters: String { "\(prefix)bda.jobs.dlq.v1" }
    /// The consumer group of all workers.
    package var workerGroup: String { "\(prefix)bda.workers" }
}

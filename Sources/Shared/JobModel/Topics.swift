/// The product's topics.
public struct Topics: Sendable, Hashable {
    /// What stands before every name, by setting.
    public let prefix: String

    /// The topics under a prefix, which may be empty.
    public init(prefix: String) { self.prefix = prefix }

    /// Job requests, for workers.
    public var jobs: String { "\(prefix)bda.jobs.v1" }
    /// Job events, for the coordinator and the curious.
    public var events: String { "\(prefix)bda.events.v1" }
    /// Run events: what BI consumes.
    public var runs: String { "\(prefix)bda.runs.v1" }
    /// Messages that cannot be decoded.
    public var deadLetters: String { "\(prefix)bda.jobs.dlq.v1" }
    /// The consumer group of all workers.
    public var workerGroup: String { "\(prefix)bda.workers" }
}

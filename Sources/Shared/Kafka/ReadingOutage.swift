/// Decides when a consumer that cannot read its topics joins its group again. A value: the consumer notes events, and
/// asks for advice once a second.
///
/// librdkafka restores lost connections by itself. It does not always recover after its topics were deleted and created
/// again, or after a right was withdrawn and granted again: an error is reported once, and later ones possibly never.
struct ReadingOutage {
    enum Advice: Equatable {
        case wait
        case rejoin
        /// The outage has ended after this number of joins.
        case over(rejoins: Int)
    }

    /// The time between an error, or a join, and the next join.
    let interval: Duration
    /// How long a connected consumer may be without an assignment before that counts as an outage.
    let patience: Duration

    private var cause: KafkaError?
    /// An error came after the last join. Later messages do not end the outage: they may have been fetched before it.
    private var isErrorNew = false
    private var rejoins = 0
    /// The last join, the first error after it, or the first assignment after it.
    private var lastEvent: ContinuousClock.Instant
    /// The group has answered since the last join; an assignment may be empty if there are more members than
    /// partitions.
    private var isMember = false

    init(interval: Duration, patience: Duration, now: ContinuousClock.Instant) {
        self.interval = interval
        self.patience = patience
        lastEvent = now
    }

    var isUnderWay: Bool { cause != nil }

    /// Errors that end only when an administrator changes topics, rights or passwords.
    static func concerns(_ error: KafkaError) -> Bool {
        error.isUnknownTopic || error.isAuthorization || error.isAuthentication
    }

    /// Notes an error. Returns true if an outage begins with it.
    mutating func note(_ error: KafkaError, now: ContinuousClock.Instant) -> Bool {
        guard Self.concerns(error) else { return false }
        defer { cause = error }
        // Repeated errors must not postpone the next join.
        if !isErrorNew { lastEvent = now }
        isErrorNew = true
        return cause == nil
    }

    mutating func noteAssignment(now: ContinuousClock.Instant) {
        if !isMember { lastEvent = now }
        isMember = true
    }

    /// Notes that the assignment was revoked; another one must follow.
    mutating func noteRevocation(now: ContinuousClock.Instant) {
        isMember = false
        lastEvent = now
    }

    /// - Parameters:
    ///   - isConnected: whether a broker is connected; otherwise a join is of no use.
    ///   - hasUnread: whether a partition has unread entries, one of which may be an error.
    mutating func advice(isConnected: Bool, hasUnread: Bool, now: ContinuousClock.Instant) -> Advice {
        let quiet = now - lastEvent
        if cause != nil, isMember, !isErrorNew {
            guard quiet >= interval, !hasUnread else { return .wait }
            defer { (cause, rejoins) = (nil, 0) }
            return .over(rejoins: rejoins)
        }
        guard isErrorNew || !isMember, isConnected, quiet >= (cause == nil ? patience : interval) else { return .wait }
        if cause == nil {
            cause = KafkaError(
                code: .timedOut, action: "join the Kafka consumer group",
                cause: "the group has given no assignment for \(patience)")
        }
        rejoins += 1
        (isErrorNew, isMember) = (false, false)
        lastEvent = now
        return .rejoin
    }
}

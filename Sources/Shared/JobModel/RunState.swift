/// The recorded steps of a run. Each is entered by a compare-and-set on the run's row in the ledger.
///
///     running -> verified -> published -> announced -> history -> closed
///        |           |
///        +-----------+--> failed, cancelled
///
/// Until the run's manifest is noted, within the step to `published`, nothing that BI follows has changed, so a run may still
/// fail; from then on it can only go forward.
package enum RunState: String, Sendable, Hashable, Codable, CaseIterable {
    /// Jobs run.
    case running
    /// Every job has its result, and parts and totals agree.
    case verified
    /// Views, manifests and `latest` are written.
    case published
    /// `run.completed` is with the broker.
    case announced
    /// The history segments have run.
    case history
    /// Nothing is left to do.
    case closed
    /// It ended with a reason.
    case failed
    /// A person ended it.
    case cancelled

    /// Whether the run has ended.
    package var isFinal: Bool { self == .closed || self == .failed || self == .cancelled }

    /// Whether BI can have seen it.
    package var isPublished: Bool {
        switch self {
        case .published, .announced, .history, .closed: true
        case .running, .verified, .failed, .cancelled: false
        }
    }

    /// The next step forward; nil when there is none.
    package var next: RunState? {
        switch self {
        case .running: .verified
        case .verified: .published
        case .published: .announced
        case .announced: .history
        case .history: .closed
        case .closed, .failed, .cancelled: nil
        }
    }
}

/// The states of a job in the ledger. The graph decides when a job is ready, a claim makes it run, its result makes it done.
///
///                  +-- end of an attempt, attempts left --+
///                  v                                      |
///     blocked -> ready ------------ claim ------------> running -> done
///                                                         |
///                          rejected, no attempts left     +-----> failed
///
/// A running job whose lease is over is taken over by the next claim: it goes on running, as the next attempt. Jobs that are
/// blocked, ready or running when their run ends are cancelled.
package enum JobState: String, Sendable, Hashable, Codable, CaseIterable {
    /// Waiting for other jobs.
    case blocked
    /// Waiting for a worker.
    case ready
    /// Under way.
    case running
    /// With its result.
    case done
    /// Ended without a result, for good.
    case failed
    /// Open when the run ended.
    case cancelled
}

/// How one attempt at a job ended. The set is closed: everything that can happen is one of these.
package enum JobOutcome: Sendable, Hashable {
    /// The result row is committed.
    case completed
    /// It may go well later: not before the given number of seconds from now.
    case retry(after: Double)
    /// It will never go well: the run fails with the reason.
    case rejected
    /// The worker shut down; the attempt is not counted.
    case interrupted
    /// The claim is gone: another attempt has the job, and this one says nothing.
    case lost

    /// The word in the ledger, events and metrics.
    package var name: String {
        switch self {
        case .completed: "completed"
        case .retry: "retry"
        case .rejected: "rejected"
        case .interrupted: "interrupted"
        case .lost: "lost"
        }
    }
}

/// The recorded steps of a run. Each is entered by a compare-and-set on the run's row in the ledger.
///
///     running -> verified -> published -> announced -> history -> closed
///        |           |
///        +-----------+--> failed, cancelled
///
/// Until the run's manifest is noted, within the step to `published`, no object or view that consumers follow has
/// changed, so a run may still fail; from then on it can only go forward.
package enum RunState: String, Sendable, Hashable, Codable, CaseIterable {
    /// Jobs are blocked, ready or running.
    case running
    /// Every job has its result, and parts and totals agree.
    case verified
    /// Views, manifests and `latest` are written.
    case published
    /// `run.completed` was delivered to Kafka.
    case announced
    /// The history segments have run.
    case history
    /// The run is finished.
    case closed
    /// The run ended with an error, whose reason is recorded.
    case failed
    /// `cancel` ended the run.
    case cancelled

    package var isFinal: Bool { self == .closed || self == .failed || self == .cancelled }

    /// Whether consumers may have read it.
    package var isPublished: Bool {
        switch self {
        case .published, .announced, .history, .closed: true
        case .running, .verified, .failed, .cancelled: false
        }
    }

    /// The next step forward; nil if the run has ended.
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

/// The states of a job in the ledger. The graph makes a job ready, a claim makes it running, its result makes it done.
///
///                  +-- end of an attempt, attempts left --+
///                  v                                      |
///     blocked -> ready ------------ claim ------------> running -> done
///                                                         |
///                          rejected, no attempts left     +-----> failed
///
/// A running job whose lease has ended is taken over by the next claim: it stays running, with the next attempt. Jobs
/// that are blocked, ready or running when their run ends are cancelled.
package enum JobState: String, Sendable, Hashable, Codable, CaseIterable {
    /// It waits for other jobs.
    case blocked
    /// It waits for a worker.
    case ready
    /// A worker holds a claim on it.
    case running
    /// It has a result.
    case done
    /// It was rejected or has no attempts left.
    case failed
    /// Its run ended before the job.
    case cancelled
}

/// The end of one attempt at a job. The set is closed: every attempt ends with one of these.
package enum JobOutcome: Sendable, Hashable {
    /// The result row is committed.
    case completed
    /// A later attempt may succeed: not before the given number of seconds from now.
    case retry(after: Double)
    /// No attempt can succeed: the run fails with the reason.
    case rejected
    /// The worker shut down; the attempt is not counted.
    case interrupted
    /// The claim is lost: another attempt holds the job, and this one reports nothing.
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

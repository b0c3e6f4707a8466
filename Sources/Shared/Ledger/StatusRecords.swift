package import JobModel
import Postgres

/// A job that somebody should know about: running, or ended without a result.
package struct JobStatus: Sendable, Hashable {
    /// The job.
    package var jobID: JobID
    /// Its state.
    package var state: JobState
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID` of the worker.
    package var workerID: String?
    /// Since the attempt's start.
    package var seconds: Double
    /// Rows read so far.
    package var rowsSoFar: Int?
    /// SQLSTATE, S3 code or our own word.
    package var code: String?
    /// What happened.
    package var message: String?
    /// What to do about it.
    package var hint: String?
    /// Seconds until the lease runs out; negative when it has.
    package var leaseSeconds: Double?
}

/// The figures of one dataset of a run.
package struct DatasetFigures: Sendable, Hashable {
    /// The dataset.
    package var dataset: SegmentName
    /// Jobs that have their result.
    package var jobsDone: Int
    /// Parts, that is files.
    package var parts: Int
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
}

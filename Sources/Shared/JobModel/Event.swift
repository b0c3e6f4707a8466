package import Foundation
import Timing

/// What one kind of event says, beside its run. Every event is a hint from an untrusted wire: it names a run or a job,
/// and the ledger says what that is.
package protocol EventBody: Codable, Sendable, Hashable {
    /// The CloudEvents type, such as `bda.job.requested.v1`.
    static var type: String { get }
    /// Identifies the event among all events; the same when it is published again.
    func stableID(in run: RunContext) -> String
}

/// An event's data: its run and its body, as one flat JSON object.
package struct Event<Body: EventBody>: Codable, Sendable, Hashable {
    /// Which run it belongs to.
    package var run: RunContext
    /// What it says.
    package var body: Body

    /// An event of a run.
    package init(run: RunContext, body: Body) {
        self.run = run
        self.body = body
    }

    /// Reads the value.
    package init(from decoder: any Decoder) throws {
        run = try RunContext(from: decoder)
        body = try Body(from: decoder)
    }

    /// Writes the value.
    package func encode(to encoder: any Encoder) throws {
        try run.encode(to: encoder)
        try body.encode(to: encoder)
    }
}

/// What every event says about its run.
package struct RunContext: Sendable, Hashable, Codable {
    /// The run.
    package var runID: RunID
    /// The day being reported.
    package var businessDate: BusinessDate
    /// `BDA_CLIENT_ID`.
    package var clientID: String
    /// `BDA_ENVIRONMENT`.
    package var environment: String

    /// The context of a run.
    package init(runID: RunID, businessDate: BusinessDate, clientID: String, environment: String) {
        self.runID = runID
        self.businessDate = businessDate
        self.clientID = clientID
        self.environment = environment
    }
}

/// An event as CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the data is the message's value
/// (CloudEvents Kafka protocol binding 1.0.2, section 3.2).
package struct CloudEvent: Sendable, Hashable {
    /// Unique; the same when the event is published again.
    package var id: String
    /// Who sent it, as a URI reference.
    package var source: String
    /// Its type.
    package var type: String
    /// `<date>/<run id>`.
    package var subject: String
    /// RFC 3339, UTC.
    package var time: String
    /// The data as JSON.
    package var data: [UInt8]

    /// `event`, sent by `source` (a URI reference such as `/bda/worker/w1`) at `date`.
    package init<Body: EventBody>(_ event: Event<Body>, source: String, at date: Date) throws {
        id = event.body.stableID(in: event.run)
        self.source = source
        type = Body.type
        subject = "\(event.run.businessDate)/\(event.run.runID)"
        time = Timestamp.text(of: date)
        data = try WireFormat.encode(event)
    }

    /// The message's headers.
    package var headers: [(name: String, value: String)] {
        [
            ("ce_specversion", "1.0"), ("ce_id", id), ("ce_source", source), ("ce_type", type),
            ("ce_subject", subject), ("ce_time", time), ("content-type", "application/json"),
        ]
    }

    /// Reads a received message. Throws `InvalidValue` naming the first header or key that is wrong.
    package static func decode<Body: EventBody>(
        _ type: Body.Type, headers: [(name: String, value: String)], value: [UInt8]
    ) throws(InvalidValue) -> Event<Body> {
        let attributes = Dictionary(headers.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        guard attributes["ce_specversion"] == "1.0" else {
            throw InvalidValue("ce_specversion", attributes["ce_specversion"] ?? "", allowed: "1.0")
        }
        guard attributes["ce_type"] == Body.type else {
            throw InvalidValue("ce_type", attributes["ce_type"] ?? "", allowed: Body.type)
        }
        return try WireFormat.decode(Event<Body>.self, from: value)
    }
}

/// A job is ready: whoever has a free slot may claim it.
package struct JobRequested: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.job.requested.v1"
    /// The job.
    package var jobID: JobID
    /// For people; the job's id says it too.
    package var segment: SegmentName
    /// For people; the job's id says it too.
    package var partition: Int

    /// The request of one job.
    package init(jobID: JobID) {
        self.jobID = jobID
        segment = jobID.segment
        partition = jobID.partition
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(jobID)/requested" }
}

/// A worker has claimed a job.
package struct JobStarted: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.job.started.v1"
    /// The job.
    package var jobID: JobID
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID` of the worker.
    package var workerID: String

    /// The start of one attempt.
    package init(jobID: JobID, attempt: Int, workerID: String) {
        self.jobID = jobID
        self.attempt = attempt
        self.workerID = workerID
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(jobID)/\(attempt)/started" }
}

/// A job's result is committed.
package struct JobCompleted: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.job.completed.v1"
    /// The job.
    package var jobID: JobID
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID` of the worker.
    package var workerID: String
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
    /// Parts, that is files.
    package var partCount: Int
    /// The control totals.
    package var totals: [ControlTotal]
    /// Wall time in milliseconds.
    package var durationMs: Int

    /// The completion of a job by the given attempt.
    package init(
        jobID: JobID, attempt: Int, workerID: String, rows: Int, bytes: Int, partCount: Int,
        totals: [ControlTotal], durationMs: Int
    ) {
        self.jobID = jobID
        self.attempt = attempt
        self.workerID = workerID
        self.rows = rows
        self.bytes = bytes
        self.partCount = partCount
        self.totals = totals
        self.durationMs = durationMs
    }

    /// A job completes once, whoever says so.
    package func stableID(in run: RunContext) -> String { "\(jobID)/completed" }
}

/// An attempt ended without a result.
package struct JobFailed: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.job.failed.v1"
    /// The job.
    package var jobID: JobID
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID` of the worker.
    package var workerID: String
    /// `retry`, `rejected` or `interrupted`.
    package var outcome: String
    /// SQLSTATE, S3 code or our own word.
    package var code: String
    /// What happened.
    package var message: String
    /// What to do about it.
    package var hint: String?
    /// RFC 3339; when it may be tried again.
    package var retryAt: String?

    /// The end of one attempt.
    package init(
        jobID: JobID, attempt: Int, workerID: String, outcome: String, code: String,
        message: String, hint: String?, retryAt: String?
    ) {
        self.jobID = jobID
        self.attempt = attempt
        self.workerID = workerID
        self.outcome = outcome
        self.code = code
        // Whole in the ledger: with an endless text the event would not fit a message.
        self.message = message.clipped(to: 4000)
        self.hint = hint?.clipped(to: 1000)
        self.retryAt = retryAt
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(jobID)/\(attempt)/failed" }
}

/// A run has begun.
package struct RunStarted: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.run.started.v1"
    /// The systems that run.
    package var systems: [String]
    /// N, the number of customer buckets.
    package var partitionCount: Int
    /// RFC 3339.
    package var cutoff: String
    /// The datasets, in order of name.
    package var datasets: [SegmentName]

    /// The start of a run.
    package init(systems: [String], partitionCount: Int, cutoff: String, datasets: [SegmentName]) {
        self.systems = systems
        self.partitionCount = partitionCount
        self.cutoff = cutoff
        self.datasets = datasets
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(run.runID)/started" }
}

/// A run is complete: BI may load what the manifest names.
package struct RunCompleted: EventBody {
    /// One dataset of the run.
    package struct Dataset: Sendable, Hashable, Codable {
        /// Its name.
        package var name: SegmentName
        /// Where the manifest lies.
        package var manifestURI: String
        /// Data rows.
        package var rows: Int
        /// Bytes as stored.
        package var bytes: Int
        /// The control totals.
        package var totals: [ControlTotal]

        /// The figures of one dataset.
        package init(name: SegmentName, manifestURI: String, rows: Int, bytes: Int, totals: [ControlTotal]) {
            self.name = name
            self.manifestURI = manifestURI
            self.rows = rows
            self.bytes = bytes
            self.totals = totals
        }
    }

    /// The CloudEvents type.
    package static let type = "bda.run.completed.v1"
    /// Where the manifest lies.
    package var manifestURI: String
    /// Of the manifest's bytes, hexadecimal.
    package var manifestSHA256: String
    /// The run of the same date whose rows this one replaces.
    package var replacesRunID: RunID?
    /// The datasets, in order of name.
    package var datasets: [Dataset]

    /// The completion of a run.
    package init(
        manifestURI: String, manifestSHA256: String, replacesRunID: RunID?, datasets: [Dataset]
    ) {
        self.manifestURI = manifestURI
        self.manifestSHA256 = manifestSHA256
        self.replacesRunID = replacesRunID
        self.datasets = datasets
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(run.runID)/completed" }
}

/// A run ended without a result.
package struct RunFailed: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.run.failed.v1"
    /// As the coordinator ended.
    package var exitCode: Int
    /// Why.
    package var reason: String
    /// What to do about it.
    package var hint: String?
    /// At most 20.
    package var failedJobs: [String]

    /// The failure of a run.
    package init(exitCode: Int, reason: String, hint: String?, failedJobs: [String]) {
        self.exitCode = exitCode
        self.reason = reason.clipped(to: 4000)
        self.hint = hint?.clipped(to: 1000)
        self.failedJobs = Array(failedJobs.prefix(20))
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(run.runID)/failed" }
}

/// A run has not ended by `BDA_DEADLINE`.
package struct RunLate: EventBody {
    /// The CloudEvents type.
    package static let type = "bda.run.late.v1"
    /// RFC 3339.
    package var deadline: String
    /// Jobs that have their result.
    package var jobsDone: Int
    /// Jobs in all.
    package var jobsTotal: Int

    /// The lateness of a run.
    package init(deadline: String, jobsDone: Int, jobsTotal: Int) {
        self.deadline = deadline
        self.jobsDone = jobsDone
        self.jobsTotal = jobsTotal
    }

    /// The same however often the event is published.
    package func stableID(in run: RunContext) -> String { "\(run.runID)/late" }
}

extension String {
    fileprivate func clipped(to count: Int) -> String { self.count > count ? prefix(count - 1) + "…" : self }
}

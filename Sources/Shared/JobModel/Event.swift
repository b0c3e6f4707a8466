package import Foundation
import Timing

/// The content of one type of event, besides its run. Every event is a hint from an untrusted source: it names a run or
/// a job, whose state is read from the ledger.
package protocol EventBody: Codable, Sendable, Hashable {
    /// The CloudEvents type, such as `bda.job.requested.v1`.
    static var type: String { get }
    /// Identifies the event among all events; it is the same if the event is published again.
    func stableID(in run: RunContext) -> String
}

/// An event's data: its run and its body, as one flat JSON object.
package struct Event<Body: EventBody>: Codable, Sendable, Hashable {
    package var run: RunContext
    package var body: Body

    package init(run: RunContext, body: Body) {
        self.run = run
        self.body = body
    }

    package init(from decoder: any Decoder) throws {
        run = try RunContext(from: decoder)
        body = try Body(from: decoder)
    }

    package func encode(to encoder: any Encoder) throws {
        try run.encode(to: encoder)
        try body.encode(to: encoder)
    }
}

/// The identification of the run in every event.
package struct RunContext: Sendable, Hashable, Codable {
    package var runID: RunID
    /// The day whose data are exported.
    package var businessDate: BusinessDate
    /// `BDA_CLIENT_ID`.
    package var clientID: String
    /// `BDA_ENVIRONMENT`.
    package var environment: String

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
    /// Unique; it is the same if the event is published again.
    package var id: String
    /// The sender, as a URI reference.
    package var source: String
    package var type: String
    /// `<date>/<run id>`.
    package var subject: String
    /// RFC 3339, UTC.
    package var time: String
    /// The data as JSON.
    package var data: [UInt8]

    /// `source` is a URI reference such as `/bda/worker/w1`.
    package init<Body: EventBody>(_ event: Event<Body>, source: String, at date: Date) throws {
        id = event.body.stableID(in: event.run)
        self.source = source
        type = Body.type
        subject = "\(event.run.businessDate)/\(event.run.runID)"
        time = Timestamp.text(of: date)
        data = try WireFormat.encode(event)
    }

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

/// A job is ready to be claimed.
package struct JobRequested: EventBody {
    package static let type = "bda.job.requested.v1"
    package var jobID: JobID
    /// Repeats a part of the job's id for readers of the message.
    package var segment: SegmentName
    /// Repeats a part of the job's id for readers of the message.
    package var partition: Int

    package init(jobID: JobID) {
        self.jobID = jobID
        segment = jobID.segment
        partition = jobID.partition
    }

    package func stableID(in run: RunContext) -> String { "\(jobID)/requested" }
}

/// A worker has claimed a job.
package struct JobStarted: EventBody {
    package static let type = "bda.job.started.v1"
    package var jobID: JobID
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID`.
    package var workerID: String

    package init(jobID: JobID, attempt: Int, workerID: String) {
        self.jobID = jobID
        self.attempt = attempt
        self.workerID = workerID
    }

    package func stableID(in run: RunContext) -> String { "\(jobID)/\(attempt)/started" }
}

/// A job's result is committed.
package struct JobCompleted: EventBody {
    package static let type = "bda.job.completed.v1"
    package var jobID: JobID
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID`.
    package var workerID: String
    /// Data rows.
    package var rows: Int
    /// Bytes as stored.
    package var bytes: Int
    package var partCount: Int
    package var totals: [ControlTotal]
    /// Wall time in milliseconds.
    package var durationMs: Int

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

    /// A job completes once, so the sender is not part of the id.
    package func stableID(in run: RunContext) -> String { "\(jobID)/completed" }
}

/// An attempt ended without a result.
package struct JobFailed: EventBody {
    package static let type = "bda.job.failed.v1"
    package var jobID: JobID
    /// Counted from 1.
    package var attempt: Int
    /// `BDA_WORKER_ID`.
    package var workerID: String
    /// `retry`, `rejected` or `interrupted`.
    package var outcome: String
    /// SQLSTATE, S3 code or a code of the worker.
    package var code: String
    package var message: String
    package var hint: String?
    /// The earliest time of the next attempt, RFC 3339.
    package var retryAt: String?

    package init(
        jobID: JobID, attempt: Int, workerID: String, outcome: String, code: String,
        message: String, hint: String?, retryAt: String?
    ) {
        self.jobID = jobID
        self.attempt = attempt
        self.workerID = workerID
        self.outcome = outcome
        self.code = code
        // The ledger holds the whole text; here it is limited, so that the event fits a message.
        self.message = message.clipped(to: 4000)
        self.hint = hint?.clipped(to: 1000)
        self.retryAt = retryAt
    }

    package func stableID(in run: RunContext) -> String { "\(jobID)/\(attempt)/failed" }
}

/// A run has begun.
package struct RunStarted: EventBody {
    package static let type = "bda.run.started.v1"
    package var systems: [String]
    /// The number of customer buckets.
    package var partitionCount: Int
    /// RFC 3339.
    package var cutoff: String
    /// The datasets, in order of name.
    package var datasets: [SegmentName]

    package init(systems: [String], partitionCount: Int, cutoff: String, datasets: [SegmentName]) {
        self.systems = systems
        self.partitionCount = partitionCount
        self.cutoff = cutoff
        self.datasets = datasets
    }

    package func stableID(in run: RunContext) -> String { "\(run.runID)/started" }
}

/// A run is complete: consumers may load the files that the manifest names.
package struct RunCompleted: EventBody {
    package struct Dataset: Sendable, Hashable, Codable {
        package var name: SegmentName
        /// The address of the dataset's manifest.
        package var manifestURI: String
        /// Data rows.
        package var rows: Int
        /// Bytes as stored.
        package var bytes: Int
        package var totals: [ControlTotal]

        package init(name: SegmentName, manifestURI: String, rows: Int, bytes: Int, totals: [ControlTotal]) {
            self.name = name
            self.manifestURI = manifestURI
            self.rows = rows
            self.bytes = bytes
            self.totals = totals
        }
    }

    package static let type = "bda.run.completed.v1"
    /// The address of the run's manifest.
    package var manifestURI: String
    /// The digest of the manifest's bytes, hexadecimal.
    package var manifestSHA256: String
    /// The run of the same date whose rows this one replaces.
    package var replacesRunID: RunID?
    /// The datasets, in order of name.
    package var datasets: [Dataset]

    package init(
        manifestURI: String, manifestSHA256: String, replacesRunID: RunID?, datasets: [Dataset]
    ) {
        self.manifestURI = manifestURI
        self.manifestSHA256 = manifestSHA256
        self.replacesRunID = replacesRunID
        self.datasets = datasets
    }

    package func stableID(in run: RunContext) -> String { "\(run.runID)/completed" }
}

/// A run ended without a result.
package struct RunFailed: EventBody {
    package static let type = "bda.run.failed.v1"
    /// The exit code of the coordinator.
    package var exitCode: Int
    package var reason: String
    package var hint: String?
    /// At most 20 job ids.
    package var failedJobs: [String]

    package init(exitCode: Int, reason: String, hint: String?, failedJobs: [String]) {
        self.exitCode = exitCode
        self.reason = reason.clipped(to: 4000)
        self.hint = hint?.clipped(to: 1000)
        self.failedJobs = Array(failedJobs.prefix(20))
    }

    package func stableID(in run: RunContext) -> String { "\(run.runID)/failed" }
}

/// A run was not complete at `BDA_DEADLINE`.
package struct RunLate: EventBody {
    package static let type = "bda.run.late.v1"
    /// RFC 3339.
    package var deadline: String
    /// The number of jobs with a result.
    package var jobsDone: Int
    /// The number of all jobs.
    package var jobsTotal: Int

    package init(deadline: String, jobsDone: Int, jobsTotal: Int) {
        self.deadline = deadline
        self.jobsDone = jobsDone
        self.jobsTotal = jobsTotal
    }

    package func stableID(in run: RunContext) -> String { "\(run.runID)/late" }
}

extension String {
    fileprivate func clipped(to count: Int) -> String { self.count > count ? prefix(count - 1) + "…" : self }
}

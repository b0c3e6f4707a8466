import CommandLineOptions
import JobModel
import Ledger
import Postgres
import Warehouse

/// The report that `status` prints.
struct StatusReport: Sendable {
    var clientID: String
    var environment: String
    var businessDate: BusinessDate?
    var run: RunRecord?
    var counts = JobCounts()
    var jobs: [JobStatus] = []
    var figures: [DatasetFigures] = []
    var activeWorkers = 0
    /// Schemas of ended runs that no view references and that have not been dropped yet.
    var supersededSchemas: [String] = []

    static func read(
        _ ledger: Ledger, clientID: String, environment: String, businessDate: BusinessDate?,
        in session: PostgresSession
    ) async throws -> StatusReport {
        var report = StatusReport(clientID: clientID, environment: environment, businessDate: businessDate)
        report.run = try await ledger.runs.runs(
            clientID: clientID, environment: environment, businessDate: businessDate, limit: 1
        ).first
        for runID in try await SupersededSchemas.found(
            clientID: clientID, environment: environment, ledger, in: session)
        {
            let readers = try await RunSchema.readers(schema: runID.schemaName, in: session)
            report.supersededSchemas.append(
                runID.schemaName
                    + (readers.isEmpty
                        ? ", which the next run drops" : ", held by \(readers.joined(separator: "; "))"))
        }
        report.activeWorkers = try await ledger.jobs.activeWorkers(clientID: clientID, environment: environment)
        guard let run = report.run else { return report }
        report.counts = try await ledger.status.jobCounts(of: run.runID)
        report.jobs = try await ledger.status.notableJobs(of: run.runID, limit: 20)
        report.figures = try await ledger.status.datasetFigures(of: run.runID)
        return report
    }

    var text: String {
        guard let run else {
            let what = businessDate.map { "of \($0) " } ?? ""
            return "no run \(what)for \(clientID)/\(environment)\nnext: \(next)"
        }
        var lines = [
            "run \(run.runID) of \(run.businessDate) for \(clientID)/\(environment): \(run.state.rawValue)",
            "started \(run.startedAt), owner \(run.owner)" + (run.endedAt.map { ", ended \($0)" } ?? ""),
            "jobs: \(counts.done)/\(counts.total) done, \(counts.running) running, \(counts.ready) ready, \(counts.blocked) waiting, \(counts.failed) failed\(counts.cancelled > 0 ? ", \(counts.cancelled) cancelled" : "")",
        ]
        if let since = kafkaOutage {
            lines.append(
                "Kafka: unreachable since \(since); "
                    + (run.state.isPublished
                        ? "the files are complete, and run.completed is sent when Kafka is reachable again"
                        : "idle workers take the jobs from the ledger, so the run continues, slightly slower"))
        }
        if let waitingFor = run.waitingFor, !run.state.isFinal { lines.append("waiting: \(waitingFor)") }
        if let reason = run.reason { lines.append("reason: \(reason)") }
        if let hint = run.hint { lines.append("hint: \(hint)") }
        if !jobs.isEmpty, !run.state.isFinal || run.state == .failed {
            lines.append(
                TextTable(
                    header: ["segment", "partition", "state", "attempt", "worker", "seconds", "rows", "message"],
                    rows: jobs.map { job in
                        [
                            job.jobID.segment.description, "\(job.jobID.partition)", job.state.rawValue,
                            "\(job.attempt)",
                            job.workerID ?? "", String(Int(job.seconds)), job.rowsSoFar.map { "\($0)" } ?? "",
                            job.message ?? ((job.leaseSeconds ?? 1) < 0 ? "lease expired" : ""),
                        ]
                    }, numeric: [1, 3, 5, 6]
                ).text(indent: 2, maximumWidth: 120))
            // The table truncates long messages; those that explain why an open run waits are repeated in full.
            for job in jobs.filter({ $0.message != nil }).prefix(run.state.isFinal ? 0 : 3) {
                lines.append("\(job.jobID.segment) partition \(job.jobID.partition): \(job.message ?? "")")
                if let hint = job.hint { lines.append("hint: \(hint)") }
            }
        }
        if !figures.isEmpty {
            lines.append(
                TextTable(
                    header: ["dataset", "jobs done", "parts", "rows", "bytes"],
                    rows: figures.map {
                        ["\($0.dataset)", "\($0.jobsDone)", "\($0.parts)", "\($0.rows)", "\($0.bytes)"]
                    },
                    numeric: [1, 2, 3, 4]
                ).text(indent: 2))
        }
        if let uri = run.manifestURI, run.state.isPublished { lines.append("manifest: \(uri)") }
        for schema in supersededSchemas { lines.append("not dropped yet: \(schema)") }
        lines.append("next: \(next)")
        return lines.joined(separator: "\n")
    }

    /// Start of the Kafka outage that the coordinator recorded; nil if the run has ended.
    private var kafkaOutage: String? { run.flatMap { $0.state.isFinal ? nil : $0.kafkaUnreachableSince } }

    /// The command that the operator should run next.
    private var next: String {
        guard let run else { return "bda-coordinator run" + (businessDate.map { " --date \($0)" } ?? "") }
        switch run.state {
        case .closed: return "nothing to do; bda-coordinator run --date \(run.businessDate) --new runs the date again"
        case .failed, .cancelled: return "bda-coordinator run --date \(run.businessDate)"
        case .published where kafkaOutage != nil:
            return
                "restore Kafka: bda-coordinator run --date \(run.businessDate) waits for Kafka, or continues the run"
        case .running where counts.running == 0 && counts.ready > 0 && activeWorkers == 0:
            return "start bda-worker: \(counts.ready) jobs ready, no active workers"
        default:
            return
                "bda-coordinator status --date \(run.businessDate) --watch; if its coordinator has ended: bda-coordinator run --date \(run.businessDate)"
        }
    }

    private struct Output: Encodable {
        struct Job: Encodable {
            var jobID: JobID
            var state: String
            var attempt: Int
            var workerID: String?
            var seconds: Double
            var rowsSoFar: Int?
            var code: String?
            var message: String?
            var hint: String?
        }

        struct Dataset: Encodable {
            var name: SegmentName
            var jobsDone: Int
            var parts: Int
            var rows: Int
            var bytes: Int
        }

        var runID: RunID?
        var businessDate: BusinessDate?
        var state: String?
        var startedAt: String?
        var endedAt: String?
        var reason: String?
        var hint: String?
        var exitCode: Int?
        var manifestURI: String?
        var kafkaUnreachableSince: String?
        var waitingFor: String?
        var activeWorkers: Int
        var supersededSchemas: [String]
        var jobs: [String: Int]
        var notableJobs: [Job]
        var datasets: [Dataset]
        var next: String
    }

    /// The report as a JSON object.
    func json() throws -> String {
        let output = Output(
            runID: run?.runID, businessDate: run?.businessDate ?? businessDate, state: run?.state.rawValue,
            startedAt: run?.startedAt, endedAt: run?.endedAt, reason: run?.reason, hint: run?.hint,
            exitCode: run?.exitCode, manifestURI: run?.manifestURI,
            kafkaUnreachableSince: kafkaOutage, waitingFor: run?.state.isFinal == false ? run?.waitingFor : nil,
            activeWorkers: activeWorkers, supersededSchemas: supersededSchemas,
            jobs: [
                "blocked": counts.blocked, "ready": counts.ready, "running": counts.running, "done": counts.done,
                "failed": counts.failed, "cancelled": counts.cancelled,
            ],
            notableJobs: jobs.map {
                Output.Job(
                    jobID: $0.jobID, state: $0.state.rawValue, attempt: $0.attempt, workerID: $0.workerID,
                    seconds: $0.seconds,
                    rowsSoFar: $0.rowsSoFar, code: $0.code, message: $0.message, hint: $0.hint)
            },
            datasets: figures.map {
                Output.Dataset(
                    name: $0.dataset, jobsDone: $0.jobsDone, parts: $0.parts, rows: $0.rows, bytes: $0.bytes)
            }, next: next)
        return String(decoding: try WireFormat.encode(output), as: UTF8.self)
    }
}

import CommandLineOptions
import JobModel
import Ledger
import Logging
import Postgres

/// The job loop, which runs until every job has its result: it reads the ledger, marks jobs as ready, publishes their
/// requests, and does nothing else.
struct JobsStep: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    func perform(_ run: RunRecord) async throws {
        var progress = RunProgress(isOn: dependencies.showsProgress)
        defer { progress.end() }
        var clocks = JobClocks(
            workerWait: .seconds(dependencies.settings.workerWaitSeconds), at: .now)
        while true {
            let start = ContinuousClock.now
            do {
                let counts = try await look(run)
                progress.show(counts)
                if counts.failed > 0 { throw try await failure(of: run) }
                if counts.done == counts.total { return }
                let hasWorkers = try await isWorked(counts)
                if clocks.sawLedger(counts, hasWorkers: hasWorkers, at: .now) { throw noWorker(counts) }
            } catch let error as PostgresError where error.isRetryable || error.isConnectionLost {
                dependencies.logger.warning("unable to read the ledger", metadata: [.error: "\(error)"])
                if clocks.missedLedger(at: .now) { throw error }
                try await Task.sleep(for: .seconds(1))
                continue
            }
            // A busy fleet rings the bell all the time. The pause limits the loop to a tenth of a core of the server.
            try await Task.sleep(for: min(max(.milliseconds(10), (ContinuousClock.now - start) * 9), .seconds(1)))
            await dependencies.bell.wait(atMost: .seconds(1))
            try Task.checkCancellation()
        }
    }

    private func look(_ run: RunRecord) async throws -> JobCounts {
        let counts = try await dependencies.ledger.jobs.advance(run)
        dependencies.messages.request(try await dependencies.ledger.jobs.takeDueRequests(run), of: run.context)
        dependencies.current.note(counts)
        dependencies.metrics.record(counts)
        return counts
    }

    /// Whether a worker of this client is active. The ledger is queried only if jobs are ready and no job is running.
    private func isWorked(_ counts: JobCounts) async throws -> Bool {
        guard counts.running == 0, counts.ready > 0 else { return true }
        return try await dependencies.ledger.jobs.activeWorkers(
            clientID: dependencies.settings.clientID, environment: dependencies.settings.deployment) > 0
    }

    private func noWorker(_ counts: JobCounts) -> RunFailure {
        RunFailure(
            .timedOut,
            "no active workers for \(dependencies.settings.workerWaitSeconds) seconds, \(counts.ready) jobs ready",
            hint:
                "start bda-worker with the same database, Kafka, BDA_CLIENT_ID and BDA_ENVIRONMENT; or raise BDA_WORKER_WAIT_SECONDS"
        )
    }

    private func failure(of run: RunRecord) async throws -> RunFailure {
        let failed = try await dependencies.ledger.status.notableJobs(of: run.runID, limit: 20).filter {
            $0.state == .failed
        }
        if let lost = failed.first(where: { $0.code == "snapshot_lost" }) {
            return RunFailure(.snapshotLost, "snapshot_lost: \(lost.message ?? "")", hint: lost.hint)
        }
        let reasons = failed.map { job in
            "\(job.jobID.segment) partition \(job.jobID.partition), attempt \(job.attempt): \(job.message ?? "no reason recorded") [\(job.code ?? "")]"
        }
        return RunFailure(
            .jobFailed,
            (["\(failed.count) job\(failed.count == 1 ? "" : "s") failed"] + reasons).joined(separator: "\n  "),
            hint: failed.compactMap(\.hint).first)
    }
}

/// The two time limits of the job loop: the time without an active worker, and the time without a reply of the ledger.
struct JobClocks {
    let workerWait: Duration
    private var lastWorker: ContinuousClock.Instant
    private var outageStart: ContinuousClock.Instant?

    /// Long enough for a failover of the database server.
    static let ledgerWait = Duration.seconds(60)

    init(workerWait: Duration, at now: ContinuousClock.Instant) {
        self.workerWait = workerWait
        lastWorker = now
    }

    /// Records a reply of the ledger. Returns whether ready jobs have waited too long without active workers. As long
    /// as a worker is active, jobs that pause between two attempts or wait behind the jobs of another date do not
    /// count.
    mutating func sawLedger(_ counts: JobCounts, hasWorkers: Bool, at now: ContinuousClock.Instant) -> Bool {
        if let start = outageStart {
            // Workers could not record heartbeats during the outage.
            lastWorker += now - start
            outageStart = nil
        }
        if hasWorkers || counts.running > 0 || counts.ready == 0 { lastWorker = now }
        return now - lastWorker > workerWait
    }

    /// Records a failed read of the ledger. Returns whether the outage has lasted too long.
    mutating func missedLedger(at now: ContinuousClock.Instant) -> Bool {
        let start = outageStart ?? now
        outageStart = start
        return now - start > Self.ledgerWait
    }
}

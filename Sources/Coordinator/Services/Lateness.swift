import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Logging
import ServiceLifecycle
import Timing

/// Watches the time of the run: publishes `run.late` once after its deadline, and interrupts it at its time limit.
///
/// The time limit counts from the start of the run, across resumes and over all steps. A published run must be
/// completed: each coordinator gives it at least `graceSeconds`, so that a coordinator that is started late still
/// completes it.
struct Lateness: Service {
    let settings: CoordinatorSettings
    let ledger: Ledger
    let current: CurrentRun
    let messages: RunMessages
    let logger: Logger

    private static let tick = Duration.milliseconds(500)
    static let graceSeconds = 600.0

    func run() async throws {
        let start = ContinuousClock.now
        var watched: RunID?
        /// Start of the run by this machine's monotonic clock.
        var began = start
        var isLate = false
        while !Task.isCancelled {
            if let run = current.run {
                do {
                    if watched != run.runID {
                        began = .now - .seconds(try await ledger.runs.age(of: run.runID))
                        (watched, isLate) = (run.runID, false)
                    }
                    let now = ContinuousClock.now
                    if !isLate, run.graphAt != nil, let deadline = settings.deadline(of: run.businessDate),
                        deadline < Date()
                    {
                        tellLate(run, deadline, try await ledger.status.jobCounts(of: run.runID))
                        isLate = true
                    }
                    let limit = Duration.seconds(settings.runTimeoutSeconds)
                    let end =
                        run.state.isPublished ? max(began + limit, start + .seconds(Self.graceSeconds)) : began + limit
                    if now > end { current.interrupt(run.runID, with: Self.timeIsUp(run, current.counts, settings)) }
                } catch {
                    logger.debug("unable to watch the time of the run", metadata: [.error: "\(error)"])
                }
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    private func tellLate(_ run: RunRecord, _ deadline: Date, _ counts: JobCounts) {
        messages.tell(
            RunLate(deadline: Timestamp.text(of: deadline), jobsDone: counts.done, jobsTotal: counts.total),
            of: run.context)
        logger.warning("the run is late", metadata: [.runID: "\(run.runID)", .businessDate: "\(run.businessDate)"])
    }

    /// The failure of a run whose time is up.
    static func timeIsUp(_ run: RunRecord, _ counts: JobCounts, _ settings: CoordinatorSettings) -> RunFailure {
        RunFailure(
            .timedOut,
            "the run is not finished \(settings.runTimeoutSeconds) seconds after its start: \(run.state.rawValue), \(counts.done) of \(counts.total) jobs done",
            hint: "add workers, or raise BDA_RUN_TIMEOUT_SECONDS")
    }
}

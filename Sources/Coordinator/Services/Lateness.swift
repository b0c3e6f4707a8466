import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Logging
import ServiceLifecycle
import Timing

/// Watches the clock of the run: tells once when its deadline has passed, and interrupts it when its time is up.
///
/// A run's time counts from its start, across resumes and over all steps. A run that is published can only go forward: it
/// has at least `graceSeconds` in each coordinator, so that one that was started too late still finishes.
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
        /// When the run began, by this machine's monotonic clock.
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
                    if !isLate, let deadline = settings.deadline(of: run.businessDate), deadline < Date() {
                        isLate = true
                        tellLate(run, deadline)
                    }
                    let limit = Duration.seconds(settings.runTimeoutSeconds)
                    let end =
                        run.state.isPublished ? max(began + limit, start + .seconds(Self.graceSeconds)) : began + limit
                    if now > end { current.interrupt(run.runID, with: timeIsUp(run)) }
                } catch {
                    logger.debug("unable to read the age of the run", metadata: [.error: "\(error)"])
                }
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    private func tellLate(_ run: RunRecord, _ deadline: Date) {
        let counts = current.counts
        messages.tell(
            RunLate(deadline: Timestamp.text(of: deadline), jobsDone: counts.done, jobsTotal: counts.total),
            of: run.context)
        logger.warning("the run is late", metadata: [.runID: "\(run.runID)", .businessDate: "\(run.businessDate)"])
    }

    private func timeIsUp(_ run: RunRecord) -> RunFailure {
        let counts = current.counts
        return RunFailure(
            .timedOut,
            "the run is not finished \(settings.runTimeoutSeconds) seconds after its start: \(run.state.rawValue), \(counts.done) of \(counts.total) jobs done",
            hint: "add workers, or raise BDA_RUN_TIMEOUT_SECONDS")
    }
}

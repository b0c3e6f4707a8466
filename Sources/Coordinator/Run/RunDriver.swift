import BlockingIO
import CommandLineOptions
import JobModel
import Ledger
import Logging
import ServiceLifecycle

/// Performs the actions of `RunMachine`. The service ends after the last action; a successful run has a summary by
/// then.
final class RunDriver: Service {
    /// The result of the command.
    struct Summary: Sendable {
        var run: RunRecord
        var manifest: RunManifest?
        var wasCompleteBefore: Bool
    }

    private let dependencies: RunDependencies
    private let request: RunRequest
    private let result = Mutex<Summary?>(nil)

    init(_ dependencies: RunDependencies, request: RunRequest) {
        self.dependencies = dependencies
        self.request = request
    }

    /// The result; nil before the run has ended successfully.
    var summary: Summary? { result.withLock { $0 } }

    func run() async throws {
        var machine = RunMachine()
        var work = Work()
        var action = machine.first
        while true {
            if case .finish(let ending) = action {
                try await finish(ending, work)
                return
            }
            action = machine.handle(await event(of: action, &work))
        }
    }

    /// The values that one action passes to the next.
    private struct Work: Sendable {
        var run: RunRecord?
        var manifest: RunManifest?
    }

    private func event(of action: RunMachine.Action, _ work: inout Work) async -> RunMachine.Event {
        let dependencies = dependencies
        do {
            switch action {
            case .look:
                let (found, run) = try await Lookup(dependencies).look(request)
                work.run = run
                if case .open = found, let run {
                    dependencies.logger.info("resuming the run", metadata: dependencies.metadata(run))
                    dependencies.current.set(run)
                }
                return .found(found)
            case .abandon:
                try await Lookup(dependencies).abandon(try required(work.run))
                return .abandoned
            case .begin:
                dependencies.current.clear()
                work = Work()
                let request = request
                let run = try await dependencies.current.interruptible {
                    try await BeginStep(dependencies).perform(request)
                }
                work.run = run
                return .begun
            case .perform(let step):
                let (run, manifest) = (try required(work.run), work.manifest)
                try await checkTime(of: run)
                work.manifest =
                    try await dependencies.current.interruptible { [dependencies] in
                        try await Self.perform(step, of: run, manifest: manifest, dependencies)
                    } ?? work.manifest
                return .performed
            case .record(let from, let to):
                var run = try required(work.run)
                guard try await dependencies.ledger.runs.enterState(run, from: from, to: to) else {
                    throw OwnershipLost()
                }
                run.state = to
                work.run = run
                dependencies.current.set(run)
                if to == .verified { try await dependencies.snapshot.release(run.runID) }
                dependencies.logger.debug("step recorded", metadata: dependencies.metadata(run))
                return .recorded
            case .recordFailure(let failure):
                try await record(failure)
                return .failureRecorded
            case .finish: preconditionFailure("run() handles the last action")
            }
        } catch {
            return .failed(RunFailure(error))
        }
    }

    private static func perform(
        _ step: RunMachine.Step, of run: RunRecord, manifest: RunManifest?, _ dependencies: RunDependencies
    ) async throws -> RunManifest? {
        switch step {
        case .jobs: try await JobsStep(dependencies).perform(run)
        case .verify: try await VerifyStep(dependencies).perform(run)
        case .publish: return try await PublishStep(dependencies).perform(run)
        case .announce: try await AnnounceStep(dependencies).perform(run, manifest: manifest)
        case .history: try await HistoryStep(dependencies).perform(run)
        case .close: break
        }
        return nil
    }

    /// Throws if the time of a run that is not published is up: `Lateness` may look too late at a step that is short.
    private func checkTime(of run: RunRecord) async throws {
        let settings = dependencies.settings
        guard !run.state.isPublished,
            try await dependencies.ledger.runs.age(of: run.runID) > Double(settings.runTimeoutSeconds)
        else { return }
        throw Lateness.timeIsUp(run, dependencies.current.counts, settings)
    }

    /// Records the failure in the ledger and publishes `run.failed`, unless the publication of the run has begun: such
    /// a run must be completed.
    private func record(_ failure: RunFailure) async throws {
        // A run that failed before its row was written has nothing to record.
        guard let run = dependencies.current.run else { return }
        guard
            try await dependencies.ledger.runs.fail(
                run, exitCode: Int(failure.exitCode.rawValue), reason: failure.reason, hint: failure.hint)
        else { return }
        try await dependencies.snapshot.release(run.runID)
        let failedJobs = try await dependencies.ledger.status.notableJobs(of: run.runID, limit: 20).filter {
            $0.state == .failed
        }
        await dependencies.messages.tellLast(
            RunFailed(
                exitCode: Int(failure.exitCode.rawValue), reason: failure.reason, hint: failure.hint,
                failedJobs: failedJobs.map(\.jobID.description)), of: run.context)
        if failure.exitCode == .snapshotLost {
            dependencies.logger.warning(
                "the run has lost its snapshot", metadata: dependencies.metadata(run))
        }
    }

    private func finish(_ ending: RunMachine.Ending, _ work: Work) async throws {
        if case .failed(let failure) = ending { throw failure }
        let run = try required(work.run)
        let latest = try await dependencies.ledger.runs.run(run.runID) ?? run
        result.withLock {
            $0 = Summary(run: latest, manifest: work.manifest, wasCompleteBefore: ending == .completeBefore)
        }
    }

    private func required(_ run: RunRecord?) throws -> RunRecord {
        guard let run else { throw RunFailure(.bug, "a step began without a run") }
        return run
    }
}

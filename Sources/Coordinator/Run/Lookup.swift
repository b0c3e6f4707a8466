import CommandLineOptions
import JobModel
import Ledger

/// Looks up the runs of the date in the ledger before the first step, and takes the ownership of an open run.
struct Lookup: Sendable {
    private let dependencies: RunDependencies

    init(_ dependencies: RunDependencies) { self.dependencies = dependencies }

    func look(_ request: RunRequest) async throws -> (RunMachine.Found, RunRecord?) {
        let (settings, ledger) = (dependencies.settings, dependencies.ledger)
        let runs = try await ledger.runs.runs(
            clientID: settings.clientID, environment: settings.deployment, businessDate: request.businessDate,
            limit: 20)
        if var open = runs.first(where: { !$0.state.isFinal }) {
            open.ownerNumber = try await ledger.runs.takeOwnership(of: open.runID, owner: dependencies.ownerName)
            let hasJobs = open.graphAt != nil
            guard !hasJobs || Set(open.systems) == Set(request.systems) else {
                throw RunFailure(
                    .usage,
                    "run \(open.runID) of \(open.businessDate) over \(open.systems.joined(separator: ", ")) is not finished",
                    hint:
                        "finish it with --systems \(open.systems.joined(separator: ",")), or end it with 'bda-coordinator cancel --date \(open.businessDate)'"
                )
            }
            return (.open(open.state, hasJobs: hasJobs), open)
        }
        if !request.isNew,
            let complete = runs.first(where: { $0.state == .closed && Set($0.systems).isSuperset(of: request.systems) })
        {
            return (.complete, complete)
        }
        return (.nothing, nil)
    }

    /// Ends a run whose coordinator ended before the jobs were written.
    func abandon(_ run: RunRecord) async throws {
        _ = try await dependencies.ledger.runs.fail(
            run, exitCode: Int(ExitCode.interrupted.rawValue),
            reason: "its coordinator ended before the jobs were written", hint: nil)
    }
}

import JobModel
import CommandLineOptions
import Settings
import Ledger

/// `cancel`.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Ends a date's open run; nothing that BI follows has changed.",
        discussion: """
            Its workers stop within two seconds. A run that is published already cannot be cancelled: finish it
            with 'run', then run the date again with --new.

            EXAMPLES
              bda-coordinator cancel --date 2026-03-31
            """)

    @Option(help: "The business date.")
    var date: String

    mutating func run() async throws {
        let date = date
        try await reportingFailures {
            let environment = try CommandEnvironment([])
            let settings = environment.settings
            try await environment.checkLedger()
            let businessDate = try environment.businessDate(date)
            let ledger = Ledger(settings.database, purpose: "coordinator cancel")
            let run = try await ledger.runs.runs(
                clientID: settings.clientID, environment: settings.environment, businessDate: businessDate, limit: 20
            ).first { !$0.state.isFinal }
            guard var run else {
                throw RunFailure(
                    .usage, "there is no open run of \(businessDate)", hint: "see 'bda-coordinator status'")
            }
            let isPublished = RunFailure(
                .usage, "run \(run.runID) is published already, or is being published",
                hint: "finish it with 'bda-coordinator run --date \(date)'")
            guard !run.state.isPublished else { throw isPublished }
            run.ownerNumber = try await ledger.runs.takeOwnership(of: run.runID, owner: "cancel")
            let isCancelled = try await ledger.runs.fail(
                run, state: .cancelled, exitCode: Int(ExitCode.interrupted.rawValue), reason: "cancelled by a person",
                hint: nil)
            await ledger.close()
            guard isCancelled else { throw isPublished }
            print("run \(run.runID) of \(businessDate) is cancelled")
        }
    }
}

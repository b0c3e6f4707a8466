import CommandLineOptions
import JobModel
import Ledger
import Settings

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Ends the open run of a date; published data stays as it is.",
        discussion: """
            The jobs of the run stop within two seconds. A published run cannot be cancelled: finish it with 'run',
            then run the date again with --new.

            EXAMPLES
              bda-coordinator cancel --date 2026-03-31
            """)

    @Option(help: "The business date.")
    var date: String

    mutating func run() async throws {
        let date = date
        try await reportingFailures {
            let context = try CommandContext([])
            let settings = context.settings
            try await context.checkLedger()
            let businessDate = try context.businessDate(date)
            let ledger = Ledger(settings.database, purpose: "coordinator cancel")
            let run = try await ledger.runs.runs(
                clientID: settings.clientID, environment: settings.deployment, businessDate: businessDate, limit: 20
            ).first { !$0.state.isFinal }
            guard let run else {
                throw RunFailure(
                    .usage, "there is no open run of \(businessDate)", hint: "see 'bda-coordinator status'")
            }
            let answer = try await ledger.runs.cancel(
                run.runID, by: "cancel", exitCode: Int(ExitCode.dateHeld.rawValue),
                reason: "cancelled with 'bda-coordinator cancel'")
            await ledger.close()
            guard let answer, answer.isCancelled else {
                throw Self.refusal(of: run.runID, state: answer?.state ?? run.state, date: date)
            }
            print("run \(run.runID) of \(businessDate) is cancelled")
        }
    }

    private static func refusal(of runID: RunID, state: RunState, date: String) -> RunFailure {
        if state.isFinal, state != .closed {
            return RunFailure(.usage, "run \(runID) has already ended: its state is \(state.rawValue)")
        }
        return RunFailure(
            .usage,
            "run \(runID) is \(state.isPublished ? "already published" : "being published"), and was not changed",
            hint: "finish it with 'bda-coordinator run --date \(date)', then run the date again with --new")
    }
}

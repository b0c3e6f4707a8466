import CommandLineOptions
import Foundation
import JobModel
import Ledger
import Settings

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows the newest run of a date: state, jobs, failures with their causes, and the next step.",
        discussion: """
            EXAMPLES
              bda-coordinator status
              bda-coordinator status --date 2026-03-31 --watch
              bda-coordinator status --json
            """)

    @Option(help: "The business date; default: that of the newest run.")
    var date: String?

    @Flag(help: "Refresh every two seconds until the run has ended.")
    var watch = false

    @Flag(help: "Print one JSON object.")
    var json = false

    mutating func run() async throws {
        let (date, watch, json) = (date, watch, json)
        try await reportingFailures {
            let context = try CommandContext([])
            try await context.checkLedger()
            let businessDate = try date.map { text in
                do { return try BusinessDate(text) } catch { throw RunFailure(.usage, "--date: \(error)") }
            }
            let ledger = Ledger(context.settings.database, purpose: "coordinator status")
            while true {
                let report = try await context.withSession { session in
                    try await StatusReport.read(
                        ledger, clientID: context.settings.clientID, environment: context.settings.deployment,
                        businessDate: businessDate, in: session)
                }
                if watch, !json { print("\u{1B}[2J\u{1B}[H", terminator: "") }
                print(json ? try report.json() : report.text)
                guard watch, let run = report.run, !run.state.isFinal else { break }
                try await Task.sleep(for: .seconds(2))
            }
            await ledger.close()
        }
    }
}

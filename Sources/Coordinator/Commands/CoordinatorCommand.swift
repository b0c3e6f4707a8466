import CommandLineOptions
import Settings

@main
struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bda-coordinator",
        abstract:
            "Exports a business date of the warehouse: splits it into jobs for the workers and publishes the manifest.",
        discussion: """
            Settings come from the environment; 'bda-coordinator check --settings' lists them all.

            EXAMPLES
              bda-coordinator setup                          create or upgrade the ledger and the topics
              bda-coordinator run                            run yesterday, or continue its open run
              bda-coordinator run --date 2026-03-31 --new    run a complete date again
              bda-coordinator local --workers 2 --output out run on one machine, without Kafka and S3
              bda-coordinator status --watch                 show progress and failures

            \(ExitCode.helpText(ExitCode.allCases))
            """,
        subcommands: [
            SetupCommand.self, CheckCommand.self, TryCommand.self, PlanCommand.self, RunCommand.self, LocalCommand.self,
            StatusCommand.self, CancelCommand.self, VerifyCommand.self, CleanCommand.self,
        ])
}

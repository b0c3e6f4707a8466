package import CommandLineOptions
package import JobModel

/// Another coordinator has taken the run over; this one changes nothing any more.
package struct OwnershipLost: Error, CustomStringConvertible, Sendable {
    /// What people read.
    package let description = "another coordinator has taken the run over"

    /// Said by the ledger.
    package init() {}
}

/// The run was cancelled; its coordinator changes nothing any more.
package struct RunCancelled: ErrorWithExitCode, Sendable, Hashable {
    package let runID: RunID

    package init(runID: RunID) { self.runID = runID }

    package var description: String { "run \(runID) was cancelled" }
    package var hint: String? { "start 'bda-coordinator run' if the date is still to be exported: it begins a new run" }
    /// A schedule does not start a cancelled date again.
    package var exitCode: ExitCode { .dateHeld }
}

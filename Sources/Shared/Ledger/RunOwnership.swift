package import CommandLineOptions
package import JobModel

/// Another coordinator has taken the run over; this one must not change anything any more.
package struct OwnershipLost: Error, CustomStringConvertible, Sendable {
    package let description = "another coordinator has taken the run over"

    package init() {}
}

/// The run was cancelled; its coordinator must not change anything any more.
package struct RunCancelled: ErrorWithExitCode, Sendable, Hashable {
    package let runID: RunID

    package init(runID: RunID) { self.runID = runID }

    package var description: String { "run \(runID) was cancelled" }
    package var hint: String? { "start 'bda-coordinator run' if the date is still to be exported: it begins a new run" }
    /// The schedule must not start a cancelled date again.
    package var exitCode: ExitCode { .dateHeld }
}

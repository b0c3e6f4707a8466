/// A long-running thing with one `run()`, in the shape of swift-service-lifecycle's protocol.
///
/// `run()` returns when the service's work is over: because there is no more, because `GracefulShutdown` was requested and
/// it has drained, or, at the latest, because its task was cancelled. What it throws ends the program.
package protocol Service: Sendable {
    /// Does the work until it is over.
    func run() async throws
}

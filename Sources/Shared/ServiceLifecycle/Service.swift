/// A long-running part of a program, in the shape of swift-service-lifecycle's protocol.
///
/// `run()` returns when the service's work is over: because it has no more, because `GracefulShutdown` was requested
/// and it has drained, or, at the latest, because its task was cancelled. An error that it throws ends the program.
package protocol Service: Sendable {
    func run() async throws
}

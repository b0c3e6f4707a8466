import Synchronization

/// Runs blocking closures, one after the other, on a thread of its own: for calls that belong to no actor, such as
/// `PQcancel`, which opens a connection.
package actor BlockingQueue {
    private let thread: BlockingThread

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    package init(name: String) { thread = BlockingThread(name: name) }

    /// Runs `body` on the thread and returns its result.
    package func run<Value: Sendable, Failure: Error>(
        _ body: @Sendable () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try body()
    }
}

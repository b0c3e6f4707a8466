import BlockingIO
import CLibPQ

/// The means to end a session's running statement from outside.
///
/// `PQcancel` opens a connection of its own and blocks, without a limit when the network is silent. So each request runs on
/// a thread of its own, at most one at a time for a session; a thread that hangs holds up no other session.
final class PostgresCanceller: Sendable {
    /// The owner of one `PGcancel`. `@unchecked Sendable`: `PQcancel` only reads it and may run on any thread; it is freed
    /// when the last reference is gone, so never during a request.
    private final class Handle: @unchecked Sendable {
        let pointer: OpaquePointer

        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { PQfreeCancel(pointer) }
    }

    private struct State {
        var handle: Handle?
        var isRequesting = false
        /// When the statement that runs now was first to be cancelled.
        var firstRequest: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    func set(_ pointer: OpaquePointer?) {
        let new = pointer.map { Handle($0) }
        state.withLock { $0.handle = new }
    }

    func clear() { state.withLock { $0.handle = nil } }

    /// A new statement begins: requests before it are not meant for it.
    func beginStatement() { state.withLock { $0.firstRequest = nil } }

    /// For how long the running statement is being cancelled; nil if it is not.
    var requestedFor: Duration? { state.withLock { $0.firstRequest }.map { ContinuousClock.now - $0 } }

    /// Sends a request, unless one is on its way.
    func request() {
        let handle = state.withLock { state -> Handle? in
            state.firstRequest = state.firstRequest ?? .now
            guard !state.isRequesting, let handle = state.handle else { return nil }
            state.isRequesting = true
            return handle
        }
        guard let handle else { return }
        let thread = BlockingQueue(name: "pg cancel")
        Task {
            await thread.run {
                var error = [CChar](repeating: 0, count: 256)
                // A failure means that the server is gone, which the session itself finds out.
                _ = PQcancel(handle.pointer, &error, Int32(error.count))
            }
            self.state.withLock { $0.isRequesting = false }
        }
    }
}

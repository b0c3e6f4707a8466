import BlockingIO
import CLibPQ

/// Cancels a session's running statement from another thread.
///
/// `PQcancel` opens a connection of its own and blocks, without a limit if the network does not answer. Therefore each
/// request runs on a thread of its own, at most one at a time for a session; a blocked thread delays no other session.
final class PostgresCanceller: Sendable {
    /// The owner of one `PGcancel`. `@unchecked Sendable`: `PQcancel` only reads it and may run on any thread; it is
    /// freed after the last reference is released, so never during a request.
    private final class Handle: @unchecked Sendable {
        let pointer: OpaquePointer

        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { PQfreeCancel(pointer) }
    }

    private struct State {
        var handle: Handle?
        var isRequesting = false
        /// The time of the first request to cancel the running statement.
        var firstRequest: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    func set(_ pointer: OpaquePointer?) {
        let new = pointer.map { Handle($0) }
        state.withLock { $0.handle = new }
    }

    func clear() { state.withLock { $0.handle = nil } }

    /// Notes that a new statement begins: earlier requests do not apply to it.
    func beginStatement() { state.withLock { $0.firstRequest = nil } }

    /// The time since the first request to cancel the running statement; nil if there was no request.
    var requestedFor: Duration? { state.withLock { $0.firstRequest }.map { ContinuousClock.now - $0 } }

    /// Sends a request, unless another one is being sent.
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
                // A failure means that the server is unreachable, which the session itself finds out.
                _ = PQcancel(handle.pointer, &error, Int32(error.count))
            }
            self.state.withLock { $0.isRequesting = false }
        }
    }
}

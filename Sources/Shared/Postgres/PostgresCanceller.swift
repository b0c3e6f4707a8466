import BlockingIO
import CLibPQ

/// The means to end a session's running statement from outside.
///
/// `PQcancel` opens a connection of its own and blocks, so it runs on a thread that all sessions share. The `PGcancel`
/// is guarded by the mutex, held while `PQcancel` uses it, so `clear` cannot free it in between.
final class PostgresCanceller: Sendable {
    /// The owner of one `PGcancel`. `@unchecked Sendable`: libpq allows `PQcancel` on any thread, and the mutex below
    /// lets one thread at a time see it.
    private final class Handle: @unchecked Sendable {
        let pointer: OpaquePointer

        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { PQfreeCancel(pointer) }
    }

    private static let queue = BlockingQueue(name: "pg cancel")
    private let handle = Mutex<Handle?>(nil)

    func set(_ pointer: OpaquePointer?) {
        let new = pointer.map { Handle($0) }
        handle.withLock { $0 = new }
    }

    func clear() { handle.withLock { $0 = nil } }

    func cancel() async {
        await Self.queue.run { [self] in
            let handle = handle.withLock { $0 }
            guard let handle else { return }
            var error = [CChar](repeating: 0, count: 256)
            // A failure means that the server is gone, which the session itself finds out.
            _ = PQcancel(handle.pointer, &error, Int32(error.count))
        }
    }
}

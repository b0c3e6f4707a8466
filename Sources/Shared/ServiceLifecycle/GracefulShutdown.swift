import BlockingIO

/// The wish that something ends when its work in hand is done: asked for once, seen by any number of tasks.
///
/// A service that has something to finish is given one and looks at `isRequested` before it takes more work, or waits for
/// it. It is not cancellation: that may come later, when the service took too long.
package final class GracefulShutdown: Sendable {
    private struct State {
        var isRequested = false
        var nextWaiter = 0
        var waiters: [Int: OneShot<Void>] = [:]
    }

    private let state = Mutex(State())

    /// Not asked for yet.
    package init() {}

    /// Asks for it. Asking again changes nothing.
    package func request() {
        let waiters = state.withLock { state in
            state.isRequested = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resolve(.success(())) }
    }

    /// Whether it was asked for.
    package var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Returns when it is asked for. Throws `CancellationError` when the waiting task is cancelled first.
    package func wait() async throws {
        let waiter = OneShot<Void>()
        let number: Int? = state.withLock { state in
            if state.isRequested { return nil }
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = waiter
            return state.nextWaiter
        }
        guard let number else { return }
        defer { state.withLock { _ = $0.waiters.removeValue(forKey: number) } }
        try await waiter.value
    }

    /// Waits until it is asked for, `limit` is over or the task is cancelled, and says whether it was asked for: a sleep
    /// that shutdown ends.
    @discardableResult
    package func wait(atMost limit: Duration) async -> Bool {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await self.wait() }
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
        return isRequested
    }

    /// Runs `operation` and cancels it when this is asked for; returns or throws what it then does. For work that has
    /// nothing to finish.
    package func cancelWhenRequested<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await operation() }
            group.addTask {
                try? await self.wait()
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
                group.cancelAll()
            }
            preconditionFailure("the operation ended without a result")
        }
    }
}

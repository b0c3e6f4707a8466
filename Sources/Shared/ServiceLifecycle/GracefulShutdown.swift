import BlockingIO

/// The request that a service ends when its current work is done: made once, seen by any number of tasks.
///
/// A service with work to finish checks `isRequested` before it takes more work, or waits for the request. It is not
/// a cancellation, which may follow if the service takes too long.
package final class GracefulShutdown: Sendable {
    private struct State {
        var isRequested = false
        var nextWaiter = 0
        var waiters: [Int: OneShot<Void>] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// Makes the request. Further calls change nothing.
    package func request() {
        let waiters = state.withLock { state in
            state.isRequested = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resolve(.success(())) }
    }

    package var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Returns when the request is made. Throws `CancellationError` if the waiting task is cancelled first.
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

    /// A sleep that the request ends: waits until the request is made, `limit` has passed or the task is cancelled.
    /// Returns whether the request was made.
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

    /// Runs `operation`, cancels it when the request is made, and returns or throws its result. For work that has
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

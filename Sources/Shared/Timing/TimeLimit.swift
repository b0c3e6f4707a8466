import BlockingIO

/// An operation did not end within its time limit.
package struct TimeLimitExceeded: Error, Sendable, Hashable, CustomStringConvertible {
    package let limit: Duration

    package init(limit: Duration) { self.limit = limit }

    package var description: String { "the operation did not end within \(limit)" }
}

/// Runs `body`, cancels it after `limit`, and then throws `TimeLimitExceeded`.
///
/// It returns when `body` has ended, so `body` must end soon after its cancellation. The caller's cancellation reaches
/// `body` as well. This function is for Swift code; see `withTimeLimitLeavingBehind` for calls into C.
package func withTimeLimit<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let value = try await group.next()! else { throw TimeLimitExceeded(limit: limit) }
        return value
    }
}

/// Runs `body` and waits for it at most `limit`, then leaves it behind and throws `TimeLimitExceeded`.
///
/// `body` goes on after that, because a call that hangs in a C library cannot be stopped. The caller's cancellation
/// does not shorten the wait, because clients are closed this way, and programs close their clients while they are
/// cancelled.
package func withTimeLimitLeavingBehind<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let result = OneShot<Value>()
    let timer = Task {
        try await Task.sleep(for: limit)
        result.resolve(.failure(TimeLimitExceeded(limit: limit)))
    }
    defer { timer.cancel() }
    Task {
        do {
            result.resolve(.success(try await body()))
        } catch {
            result.resolve(.failure(error))
        }
    }
    return try await Task { try await result.value }.value
}

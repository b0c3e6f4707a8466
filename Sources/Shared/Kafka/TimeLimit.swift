internal import BlockingIO

/// Runs `body` and waits for its result at most `limit`; nil when the time is up.
///
/// `body` then goes on: what hangs in C cannot be stopped, only left behind. The caller's cancellation does not shorten
/// the wait, because this is how clients are closed, and that happens when a program is being cancelled.
func withTimeLimit<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    let result = OneShot<Value?>()
    let timer = Task {
        try await Task.sleep(for: limit)
        result.resolve(.success(nil))
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

import BlockingIO

/// Runs one operation at a time: callers that come while it is under way get the result of that run.
///
/// It runs in a task of its own, so that the cancellation of the first caller does not end it for the others; a
/// cancelled caller returns immediately.
final class SingleFlight<Value: Sendable>: Sendable {
    private let waiting = Mutex<[OneShot<Value>]>([])

    func run(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let mine = OneShot<Value>()
        let isFirst = waiting.withLock { waiting in
            waiting.append(mine)
            return waiting.count == 1
        }
        if isFirst {
            Task {
                let outcome: Result<Value, any Error>
                do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
                let all = waiting.withLock { waiting in
                    defer { waiting = [] }
                    return waiting
                }
                for one in all { one.resolve(outcome) }
            }
        }
        return try await mine.value
    }

    /// Waits for the operation under way. Returns nil if there is none.
    func wait() async throws -> Value? {
        let mine = OneShot<Value>()
        let isUnderWay = waiting.withLock { waiting in
            if !waiting.isEmpty { waiting.append(mine) }
            return !waiting.isEmpty
        }
        return isUnderWay ? try await mine.value : nil
    }
}

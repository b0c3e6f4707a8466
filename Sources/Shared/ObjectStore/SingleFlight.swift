import BlockingIO

/// Does one thing at a time, however many ask for it: those who ask while it is under way get that outcome.
///
/// It runs in a task of its own, so that the first asker's cancellation does not take it from the others; a cancelled
/// asker leaves at once.
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

    /// Waits for what is under way; nil when nothing is.
    func wait() async throws -> Value? {
        let mine = OneShot<Value>()
        let isUnderWay = waiting.withLock { waiting in
            if !waiting.isEmpty { waiting.append(mine) }
            return !waiting.isEmpty
        }
        return isUnderWay ? try await mine.value : nil
    }
}

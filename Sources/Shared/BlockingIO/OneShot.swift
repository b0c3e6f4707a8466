/// A result that is delivered once, from any thread, to one waiting task: the bridge from a C callback to `await`.
///
/// The first `resolve` wins and later ones are ignored, so a callback and a cancellation may race. `value` may be
/// awaited once.
package final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Value, any Error>)
        case resolved(Result<Value, any Error>)
        case consumed
    }

    private let state = Mutex(State.empty)

    package init() {}

    /// Delivers the result. Returns false if a result was delivered before.
    @discardableResult
    package func resolve(_ result: Result<Value, any Error>) -> Bool {
        let (won, waiter): (Bool, CheckedContinuation<Value, any Error>?) = state.withLock { state in
            switch state {
            case .empty:
                state = .resolved(result)
                return (true, nil)
            case .waiting(let continuation):
                state = .consumed
                return (true, continuation)
            case .resolved, .consumed:
                return (false, nil)
            }
        }
        waiter?.resume(with: result)
        return won
    }

    /// The result. Throws `CancellationError` if the waiting task is cancelled first.
    package var value: Value {
        get async throws {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let ready: Result<Value, any Error>? = state.withLock { state in
                        switch state {
                        case .empty:
                            state = .waiting(continuation)
                            return nil
                        case .resolved(let result):
                            state = .consumed
                            return result
                        case .waiting, .consumed:
                            preconditionFailure("a OneShot is awaited once")
                        }
                    }
                    if let ready { continuation.resume(with: ready) }
                }
            } onCancel: {
                resolve(.failure(CancellationError()))
            }
        }
    }
}

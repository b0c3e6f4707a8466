import BlockingIO

/// A fixed number of connections, created at first use and lent to one request at a time.
final class CurlPool: Sendable {
    private struct State {
        var idle: [CurlHandle] = []
        var made = 0
        // First come, first served.
        var waiters: [OneShot<CurlHandle>] = []
    }

    private let state = Mutex(State())
    private let size: Int
    private let caFile: String?

    init(size: Int, caFile: String?) {
        precondition(size > 0)
        self.size = size
        self.caFile = caFile
    }

    /// Runs `body` with a connection, waiting for a free one. A cancelled task does not wait.
    func withHandle<Value: Sendable>(_ body: (CurlHandle) async throws -> Value) async throws -> Value {
        let handle = try await take()
        defer { giveBack(handle) }
        return try await body(handle)
    }

    private func take() async throws -> CurlHandle {
        try Task.checkCancellation()
        let place = OneShot<CurlHandle>()
        state.withLock { state in
            // The last returned connection has been idle for the shortest time.
            if let handle = state.idle.popLast() {
                place.resolve(.success(handle))
            } else if state.made < size {
                state.made += 1
                place.resolve(.success(CurlHandle(name: "bda-curl-\(state.made)", caFile: caFile)))
            } else {
                state.waiters.append(place)
            }
        }
        return try await place.value
    }

    private func giveBack(_ handle: CurlHandle) {
        state.withLock { state in
            while !state.waiters.isEmpty {
                // False: that task was cancelled during the wait.
                if state.waiters.removeFirst().resolve(.success(handle)) { return }
            }
            state.idle.append(handle)
        }
    }
}

import BlockingIO
import Testing
import Timing

@Suite(.timeLimit(.minutes(1))) struct TimeLimitTests {
    @Test func whatEndsInTimeGivesItsResult() async throws {
        #expect(try await withTimeLimit(.seconds(60)) { 1 } == 1)
        #expect(try await withTimeLimitLeavingBehind(.seconds(60)) { 2 } == 2)
    }

    @Test func whatTakesTooLongIsCancelled() async throws {
        let wasCancelled = OneShot<Bool>()
        await #expect(throws: TimeLimitExceeded(limit: .milliseconds(10))) {
            try await withTimeLimit(.milliseconds(10)) {
                defer { wasCancelled.resolve(.success(Task.isCancelled)) }
                try await Task.sleep(for: .seconds(600))
            }
        }
        #expect(try await wasCancelled.value)
    }

    @Test func theCallersCancellationReachesTheBody() async {
        let started = OneShot<Void>()
        let task = Task {
            try await withTimeLimit(.seconds(600)) {
                started.resolve(.success(()))
                try await Task.sleep(for: .seconds(600))
            }
        }
        try? await started.value
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func whatCannotBeStoppedIsLeftBehind() async throws {
        let gate = OneShot<Void>()
        let ended = OneShot<Void>()
        await #expect(throws: TimeLimitExceeded(limit: .milliseconds(10))) {
            try await withTimeLimitLeavingBehind(.milliseconds(10)) {
                try await gate.value
                ended.resolve(.success(()))
            }
        }
        gate.resolve(.success(()))
        try await ended.value
    }

    @Test func aCancelledCallerStillWaitsForWhatItCloses() async throws {
        let gate = OneShot<Int>()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await withTimeLimitLeavingBehind(.seconds(600)) { try await gate.value }
        }
        gate.resolve(.success(7))
        #expect(try await task.value == 7)
    }
}

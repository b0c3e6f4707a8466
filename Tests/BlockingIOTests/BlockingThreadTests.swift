import BlockingIO
import Foundation
import Testing
import Timing

@Suite struct BlockingThreadTests {
    /// Four calls that block, on two cores, leave the pool free for others.
    @Test func blockingCallsDoNotHoldUpOtherTasks() async {
        let queues = (0..<4).map { BlockingQueue(name: "block \($0)") }
        let blocked = (0..<4).map { _ in DispatchSemaphore(value: 0) }
        let finished = Mutex(0)
        await withTaskGroup(of: Void.self) { group in
            for (queue, semaphore) in zip(queues, blocked) {
                group.addTask {
                    await queue.run { semaphore.wait() }
                    finished.withLock { $0 += 1 }
                }
            }
            // This task runs on the pool; it could not signal if the four had taken all of its threads.
            await Task.yield()
            #expect(finished.withLock { $0 } == 0)
            blocked.forEach { $0.signal() }
        }
        #expect(finished.withLock { $0 } == 4)
    }

    @Test func callsOfOneQueueRunInOrderOnOneThread() async {
        let queue = BlockingQueue(name: "order")
        let threads = Mutex<Set<UInt>>([])
        for _ in 0..<100 {
            await queue.run { threads.withLock { _ = $0.insert(UInt(bitPattern: pthread_self().hashValue)) } }
        }
        #expect(threads.withLock(\.count) == 1)
    }

    private actor Owner {
        private let thread: BlockingThread
        private let freedOn: OneShot<Bool>
        nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

        init(thread: BlockingThread, freedOn: OneShot<Bool>) {
            self.thread = thread
            self.freedOn = freedOn
        }

        isolated deinit { freedOn.resolve(.success(thread.isIsolatingCurrentContext() == true)) }
    }

    @Test func anActorIsFreedOnItsThread() async throws {
        let freedOn = OneShot<Bool>()
        do { _ = Owner(thread: BlockingThread(name: "owner"), freedOn: freedOn) }
        #expect(try await freedOn.value)
    }
}

@Suite struct OneShotTests {
    @Test func theFirstResultWins() async throws {
        let oneShot = OneShot<Int>()
        #expect(oneShot.resolve(.success(1)))
        #expect(!oneShot.resolve(.success(2)))
        #expect(try await oneShot.value == 1)
    }

    @Test func aCancelledWaiterGetsCancellation() async {
        let oneShot = OneShot<Int>()
        let waiter = Task { try await oneShot.value }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
    }
}

@Suite struct DeadlineTests {
    @Test func remainingMillisecondsAreRoundedUpAndNeverNegative() {
        #expect(Deadline.after(.seconds(-1)).remainingMilliseconds == 0)
        #expect(Deadline.after(.zero).hasPassed)
        let left = Deadline.after(.seconds(100)).remainingMilliseconds
        #expect((99_000...100_000).contains(left))
    }
}

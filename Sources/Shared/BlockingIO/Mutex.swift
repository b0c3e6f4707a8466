import Glibc

/// A value behind a lock, in the call shape of `Synchronization.Mutex`, over a pthread mutex.
///
/// Not the toolchain's own, for two faults of Swift 6.3.1 on Linux. Its lock remembers the thread by an id that the
/// optimizer reads once for a whole async function, so that a `withLock` after an `await`, on another thread by then, ends
/// the program ("Call to unlock Mutex on a thread which hasn't acquired the lock"; seen in release builds). And Thread
/// Sanitizer does not know it, while it knows pthread's.
///
/// `@unchecked Sendable`: the value is touched with the mutex held only; the mutex lives in heap memory of a fixed address
/// from init to deinit, as pthread demands.
package final class Mutex<Value>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var value: Value

    /// A value that nobody else has.
    package init(_ value: sending Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` with the lock held. It must not wait for anything, nor take the lock again.
    package func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}

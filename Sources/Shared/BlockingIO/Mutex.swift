import Glibc

/// A value behind a lock, in the call shape of `Synchronization.Mutex`, over a pthread mutex.
///
/// It replaces the toolchain's own because of two faults of Swift 6.3.1 on Linux. That lock identifies the thread by an
/// id that the optimizer reads once for a whole async function, so that a `withLock` after an `await`, on another
/// thread by then, ends the program ("Call to unlock Mutex on a thread which hasn't acquired the lock"; seen in release
/// builds). And Thread Sanitizer recognizes pthread's locks, but not that one.
///
/// `@unchecked Sendable`: the value is accessed with the mutex held only; the mutex lives in heap memory of a fixed
/// address from init to deinit, as pthread requires.
package final class Mutex<Value>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var value: Value

    /// `value` has no other reference.
    package init(_ value: sending Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` with the lock held. `body` must neither wait nor take the lock again.
    package func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }
}

public import Glibc

// librdkafka makes its threads and locks by C11's <threads.h>, which Thread Sanitizer does not know: it crashes in the
// first call on such a thread, and would take what their locks order for races. glibc builds those functions on the
// pthread ones, with the same memory layout. The ones below lead through the pthread functions that the sanitizer
// watches, and take precedence over glibc's if the test program exports them:
//
//     swift test --sanitize thread -Xlinker --export-dynamic
//
// Without that flag nothing uses them.

private struct ThreadStart: @unchecked Sendable {
    // Handed from the creating thread to the new one, and used there only.
    let function: @convention(c) (UnsafeMutableRawPointer?) -> Int32
    let argument: UnsafeMutableRawPointer?
}

/// Leads to pthread_create.
@_cdecl("thrd_create")
public func thrdCreate(
    _ thread: UnsafeMutablePointer<pthread_t>, _ function: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Int32,
    _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    let start = UnsafeMutablePointer<ThreadStart>.allocate(capacity: 1)
    start.initialize(to: ThreadStart(function: function, argument: argument))
    let status = pthread_create(
        thread, nil,
        { raw in
            let start = raw!.assumingMemoryBound(to: ThreadStart.self)
            let (function, argument) = (start.pointee.function, start.pointee.argument)
            start.deallocate()
            return UnsafeMutableRawPointer(bitPattern: Int(function(argument)))
        }, start)
    if status != 0 { start.deallocate() }
    return threadResult(status)
}

/// Leads to pthread_join.
@_cdecl("thrd_join")
public func thrdJoin(_ thread: pthread_t, _ result: UnsafeMutablePointer<Int32>?) -> Int32 {
    var value: UnsafeMutableRawPointer?
    let status = pthread_join(thread, &value)
    result?.pointee = Int32(truncatingIfNeeded: Int(bitPattern: value))
    return threadResult(status)
}

/// Leads to pthread_mutex_init.
@_cdecl("mtx_init")
public func mtxInit(_ mutex: UnsafeMutablePointer<pthread_mutex_t>, _ type: Int32) -> Int32 {
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    defer { pthread_mutexattr_destroy(&attributes) }
    // mtx_recursive is 1.
    let kind = type & 1 != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL
    pthread_mutexattr_settype(&attributes, Int32(kind))
    return threadResult(pthread_mutex_init(mutex, &attributes))
}

/// Leads to pthread_mutex_lock.
@_cdecl("mtx_lock")
public func mtxLock(_ mutex: UnsafeMutablePointer<pthread_mutex_t>) -> Int32 { threadResult(pthread_mutex_lock(mutex)) }

/// Leads to pthread_mutex_unlock.
@_cdecl("mtx_unlock")
public func mtxUnlock(_ mutex: UnsafeMutablePointer<pthread_mutex_t>) -> Int32 {
    threadResult(pthread_mutex_unlock(mutex))
}

/// Leads to pthread_mutex_destroy.
@_cdecl("mtx_destroy")
public func mtxDestroy(_ mutex: UnsafeMutablePointer<pthread_mutex_t>) { pthread_mutex_destroy(mutex) }

/// Leads to pthread_cond_init.
@_cdecl("cnd_init")
public func cndInit(_ condition: UnsafeMutablePointer<pthread_cond_t>) -> Int32 {
    threadResult(pthread_cond_init(condition, nil))
}

/// Leads to pthread_cond_signal.
@_cdecl("cnd_signal")
public func cndSignal(_ condition: UnsafeMutablePointer<pthread_cond_t>) -> Int32 {
    threadResult(pthread_cond_signal(condition))
}

/// Leads to pthread_cond_broadcast.
@_cdecl("cnd_broadcast")
public func cndBroadcast(_ condition: UnsafeMutablePointer<pthread_cond_t>) -> Int32 {
    threadResult(pthread_cond_broadcast(condition))
}

/// Leads to pthread_cond_wait.
@_cdecl("cnd_wait")
public func cndWait(
    _ condition: UnsafeMutablePointer<pthread_cond_t>, _ mutex: UnsafeMutablePointer<pthread_mutex_t>
) -> Int32 {
    threadResult(pthread_cond_wait(condition, mutex))
}

/// Leads to pthread_cond_timedwait.
@_cdecl("cnd_timedwait")
public func cndTimedWait(
    _ condition: UnsafeMutablePointer<pthread_cond_t>, _ mutex: UnsafeMutablePointer<pthread_mutex_t>,
    _ deadline: UnsafePointer<timespec>
) -> Int32 {
    threadResult(pthread_cond_timedwait(condition, mutex, deadline))
}

/// Leads to pthread_cond_destroy.
@_cdecl("cnd_destroy")
public func cndDestroy(_ condition: UnsafeMutablePointer<pthread_cond_t>) { pthread_cond_destroy(condition) }

/// thrd_success, thrd_busy, thrd_error, thrd_nomem or thrd_timedout for an errno value.
private func threadResult(_ status: Int32) -> Int32 {
    switch status {
    case 0: 0
    case EBUSY: 1
    case ENOMEM: 3
    case ETIMEDOUT: 4
    default: 2
    }
}

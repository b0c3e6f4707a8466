import Glibc

/// One operating-system thread as an actor's serial executor.
///
/// Blocking C calls (libpq, libcurl, librdkafka) must not run on Swift's cooperative pool: a pod with two cores has two
/// pool threads, and two blocked calls stop every task of the process. The rule here is one C handle = one actor = one
/// `BlockingThread`; the actor returns it as its `unownedExecutor`, so isolation proves which thread a call runs on.
///
/// The thread starts with the object and ends after the object is released and its queued jobs have run.
package final class BlockingThread: SerialExecutor {
    private let queue: JobQueue

    /// Starts the thread. `name` is shown by `ps -L` and by debuggers (Linux keeps at most 15 bytes).
    package init(name: String) {
        queue = JobQueue()
        start(name: name)
    }

    deinit { queue.close() }

    package func enqueue(_ job: consuming ExecutorJob) {
        queue.push(UnownedJob(job))
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// True for the same object only.
    package func isSameExclusiveExecutionContext(other: BlockingThread) -> Bool { self === other }

    /// Traps unless the caller is on the thread.
    package func checkIsolated() {
        precondition(isIsolatingCurrentContext() == true, "not on this blocking thread")
    }

    /// Whether the caller is on the thread.
    package func isIsolatingCurrentContext() -> Bool? { queue.isCurrentThread }

    private func start(name: String) {
        let executor = asUnownedSerialExecutor()
        let context = Unmanaged.passRetained(ThreadContext(queue: queue, executor: executor, name: name))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // Detached: the last release of an actor may happen on its own thread, which cannot join itself.
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { raw in
                let context = Unmanaged<ThreadContext>.fromOpaque(raw!).takeRetainedValue()
                context.run()
                return nil
            }, context.toOpaque())
        precondition(status == 0, "pthread_create failed: \(String(cString: strerror(status)))")
    }
}

private final class ThreadContext {
    let queue: JobQueue
    let executor: UnownedSerialExecutor
    let name: String

    init(queue: JobQueue, executor: UnownedSerialExecutor, name: String) {
        self.queue = queue
        self.executor = executor
        self.name = name
    }

    func run() {
        // pthread_setname_np is a GNU extension that Swift's Glibc module hides; the kernel takes the name here as well.
        if let file = fopen("/proc/thread-self/comm", "w") {
            fputs(String(name.prefix(15)), file)
            fclose(file)
        }
        queue.adoptCurrentThread()
        while let job = queue.pop() { job.runSynchronously(on: executor) }
    }
}

/// The jobs of one thread, first in, first out.
///
/// `@unchecked Sendable`: every stored property is read and written with `mutex` held; the two C objects live in heap
/// memory of a fixed address from init to deinit, as pthread demands.
private final class JobQueue: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var head = 0
    private var isClosed = false
    private var thread: pthread_t?

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    var isCurrentThread: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard let thread else { return false }
        return pthread_equal(thread, pthread_self()) != 0
    }

    func adoptCurrentThread() {
        pthread_mutex_lock(mutex)
        thread = pthread_self()
        pthread_mutex_unlock(mutex)
    }

    func push(_ job: UnownedJob) {
        pthread_mutex_lock(mutex)
        jobs.append(job)
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for a job. Returns nil if the queue is closed and empty.
    func pop() -> UnownedJob? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while head == jobs.count {
            if isClosed { return nil }
            pthread_cond_wait(condition, mutex)
        }
        let job = jobs[head]
        head += 1
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            head = 0
        }
        return job
    }

    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}

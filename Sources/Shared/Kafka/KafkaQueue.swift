internal import CLibRdKafka
internal import Synchronization

/// Turns librdkafka's notification that a queue is no longer empty into one call of `notify`, until `clear` arms it
/// again.
///
/// The callback runs on librdkafka's threads with the queue locked: `notify` must neither call librdkafka nor wait.
final class QueueSignal: Sendable {
    private let raised = Atomic(false)
    private let notify: @Sendable () -> Void

    init(notify: @escaping @Sendable () -> Void) { self.notify = notify }

    var isRaised: Bool { raised.load(ordering: .acquiring) }

    func raise() {
        if !raised.exchange(true, ordering: .acquiringAndReleasing) { notify() }
    }

    /// Must be called before the queue is read, so that later entries raise the signal again.
    func clear() { raised.store(false, ordering: .releasing) }

    /// Raises the signal for entries that were not read: librdkafka signals only the first entry of an empty queue.
    func keepRaised() { raised.store(true, ordering: .releasing) }
}

/// The owner of one handle of a queue, with a signal for new entries. Confined to the actor of its client.
final class KafkaQueue {
    let pointer: OpaquePointer
    let signal: QueueSignal
    private var retained: Unmanaged<QueueSignal>?

    /// Takes over `pointer`. The signal is raised immediately, because the queue may have entries already.
    init(owning pointer: OpaquePointer, signal: QueueSignal) {
        self.pointer = pointer
        self.signal = signal
        // Released in `close`, after the callback was removed: librdkafka calls and removes it under one lock.
        let retained = Unmanaged.passRetained(signal)
        self.retained = retained
        rd_kafka_queue_cb_event_enable(
            pointer, { _, opaque in Unmanaged<QueueSignal>.fromOpaque(opaque!).takeUnretainedValue().raise() },
            retained.toOpaque())
        signal.raise()
    }

    /// Releases the handle; must be called before the client is destroyed.
    func close() {
        guard let retained else { return }
        self.retained = nil
        rd_kafka_queue_cb_event_enable(pointer, nil, nil)
        rd_kafka_queue_destroy(pointer)
        retained.release()
    }
}

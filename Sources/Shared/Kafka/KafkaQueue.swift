internal import CLibRdKafka
internal import Synchronization

/// Turns librdkafka's "this queue is no longer empty" into one call of `notify`, until `clear` arms it again.
///
/// The callback runs on librdkafka's threads with the queue locked: `notify` must not call librdkafka and must not wait.
final class QueueSignal: Sendable {
    private let raised = Atomic(false)
    private let notify: @Sendable () -> Void

    init(notify: @escaping @Sendable () -> Void) { self.notify = notify }

    var isRaised: Bool { raised.load(ordering: .acquiring) }

    func raise() {
        if !raised.exchange(true, ordering: .acquiringAndReleasing) { notify() }
    }

    /// To be called before the queue is read, so that what arrives meanwhile raises it again.
    func clear() { raised.store(false, ordering: .releasing) }

    /// There may be more entries than were read: librdkafka tells of the first one of an empty queue only.
    func keepRaised() { raised.store(true, ordering: .releasing) }
}

/// Owner of one handle of a queue, with a signal for "it has entries". Confined to the actor of its client.
final class KafkaQueue {
    let pointer: OpaquePointer
    let signal: QueueSignal
    private var retained: Unmanaged<QueueSignal>?

    /// Takes over `pointer`. The signal is raised at once: there may be entries already.
    init(owning pointer: OpaquePointer, signal: QueueSignal) {
        self.pointer = pointer
        self.signal = signal
        // Released in `close`, after the callback was taken off: librdkafka calls it and takes it off under one lock.
        let retained = Unmanaged.passRetained(signal)
        self.retained = retained
        rd_kafka_queue_cb_event_enable(
            pointer, { _, opaque in Unmanaged<QueueSignal>.fromOpaque(opaque!).takeUnretainedValue().raise() },
            retained.toOpaque())
        signal.raise()
    }

    /// Gives the handle back; to be called before the client is destroyed.
    func close() {
        guard let retained else { return }
        self.retained = nil
        rd_kafka_queue_cb_event_enable(pointer, nil, nil)
        rd_kafka_queue_destroy(pointer)
        retained.release()
    }
}

internal import BlockingIO
internal import Timing
internal import CLibRdKafka

extension KafkaHandle {
    /// Commits the stored positions of the current assignment; the result is reported as `.committed`. Returns whether
    /// a result will come.
    func commit() -> Bool {
        rd_kafka_commit_queue(pointer, nil, reports, nil, nil) == RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Leaves the group and passes the events in the meantime to `body`. Returns false if it has not ended by
    /// `deadline`: the client must then be left behind, because destroying it would hang as well.
    func closeConsumer(deadline: Deadline, _ body: (KafkaEvent) -> Void) -> Bool {
        guard let queue = rd_kafka_queue_new(pointer) else { return false }
        if let error = KafkaError(consuming: rd_kafka_consumer_close_queue(pointer, queue), action: "leave the group") {
            rd_kafka_queue_destroy(queue)
            // After a fatal error an orderly exit is neither possible nor needed.
            return error.isFatal
        }
        while rd_kafka_consumer_closed(pointer) == 0 {
            if deadline.hasPassed { return false }
            _ = read(from: queue, milliseconds: min(100, deadline.remainingMilliseconds), body)
        }
        rd_kafka_queue_destroy(queue)
        return true
    }
}

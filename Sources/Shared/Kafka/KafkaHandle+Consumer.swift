internal import BlockingIO
internal import Timing
internal import CLibRdKafka

extension KafkaHandle {
    /// Commits the stored positions of the current assignment; the result is reported as `.committed`. Returns whether
    /// one will come.
    func commit() -> Bool {
        rd_kafka_commit_queue(pointer, nil, reports, nil, nil) == RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Leaves the group, handing what happens meanwhile to `body`. False when it is not done by `deadline`: the client
    /// must then be left behind, for destroying it would hang as well.
    func closeConsumer(deadline: Deadline, _ body: (KafkaEvent) -> Void) -> Bool {
        guard let queue = rd_kafka_queue_new(pointer) else { return false }
        if let error = KafkaError(consuming: rd_kafka_consumer_close_queue(pointer, queue), action: "leave the group") {
            rd_kafka_queue_destroy(queue)
            // After a fatal error there is no orderly way out, and none is needed.
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

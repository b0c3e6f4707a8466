internal import BlockingIO
internal import Timing
internal import CLibRdKafka

extension KafkaHandle {
    /// The existing topics, with their numbers of partitions: all, or `name` only. Retries until `deadline`, but throws
    /// immediately if the log-in or TLS fails, which a retry does not resolve.
    func topics(
        named name: String? = nil, configuration: KafkaConfiguration, deadline: Deadline
    ) throws -> [String: Int] {
        let action = "reach Kafka at '\(configuration.bootstrapServers)'"
        let topic = name.flatMap { rd_kafka_topic_new(pointer, $0, nil) }
        defer { topic.map(rd_kafka_topic_destroy) }
        while true {
            try Task.checkCancellation()
            var metadata: UnsafePointer<rd_kafka_metadata>?
            // In slices: the reason of a failure arrives as an event, long before the request's own time limit.
            let code = rd_kafka_metadata(
                pointer, name == nil ? 1 : 0, topic, &metadata, min(500, deadline.remainingMilliseconds))
            if code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata {
                defer { rd_kafka_metadata_destroy(metadata) }
                return try Self.partitionCounts(metadata.pointee)
            }
            pause()
            let cause = likelyCause()
            let isHopeless = cause.map { $0.isAuthentication || $0.code == .ssl } ?? false
            if isHopeless || deadline.hasPassed {
                throw configuration.explaining(
                    KafkaError(code: cause?.code ?? .init(code), action: action, cause: cause?.cause))
            }
        }
    }

    /// Waits for a moment before a retry, and reads the reports.
    func pause() {
        _ = read(from: reports, milliseconds: 50) { _ in }
        drain { _ in }
    }

    /// The offset that the next message of `partition` will have.
    func endOffset(of partition: KafkaPartition, deadline: Deadline) throws -> Int64 {
        var low: Int64 = 0
        var high: Int64 = 0
        while true {
            try Task.checkCancellation()
            let code = rd_kafka_query_watermark_offsets(
                pointer, partition.topic, partition.number, &low, &high,
                min(2000, deadline.remainingMilliseconds))
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return high }
            let error = KafkaError(code: .init(code), action: "find the end of \(partition)")
            // For example, a new partition does not have a leader yet.
            guard error.isRetryable, !deadline.hasPassed else { throw error }
            pause()
        }
    }

    private static func partitionCounts(_ metadata: rd_kafka_metadata) throws(KafkaError) -> [String: Int] {
        var counts: [String: Int] = [:]
        for index in 0..<Int(metadata.topic_cnt) {
            let topic = metadata.topics[index]
            let name = String(cString: topic.topic)
            switch topic.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
                counts[name] = Int(topic.partition_cnt)
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: break
            default: throw KafkaError(code: .init(topic.err), action: "look up the topic '\(name)'")
            }
        }
        return counts
    }
}

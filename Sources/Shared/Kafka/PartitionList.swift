internal import CLibRdKafka

/// Runs `body` with a list of `partitions`, each with its offset, and frees the list.
func withPartitionList<Result>(
    _ partitions: [(partition: KafkaPartition, offset: Int64)],
    _ body: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> Result
) -> Result {
    let list = rd_kafka_topic_partition_list_new(Int32(partitions.count))!
    defer { rd_kafka_topic_partition_list_destroy(list) }
    for (partition, offset) in partitions {
        rd_kafka_topic_partition_list_add(list, partition.topic, partition.number).pointee.offset = offset
    }
    return body(list)
}

/// The partitions of `list`, which the caller continues to own.
func partitions(of list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?) -> [KafkaPartition] {
    guard let list = list?.pointee else { return [] }
    return (0..<Int(list.cnt)).map {
        KafkaPartition(topic: String(cString: list.elems[$0].topic), number: list.elems[$0].partition)
    }
}

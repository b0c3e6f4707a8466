internal import CLibRdKafka

/// One header of a message. Names may occur more than once; the order is kept.
package struct KafkaHeader: Sendable, Hashable {
    /// Not empty.
    package let name: String
    package let value: [UInt8]

    package init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }

    package init(name: String, text: String) { self.init(name: name, value: Array(text.utf8)) }

    /// The value as text. Returns nil if it is not UTF-8.
    package var text: String? { String(validating: value, as: UTF8.self) }
}

package struct KafkaMessage: Sendable, Hashable {
    /// The topic must exist.
    package var topic: String
    /// Nil lets the client choose the partition: by the key's hash, or any partition without a key.
    package var partition: Int32?
    /// Messages of one key go to one partition.
    package var key: [UInt8]?
    package var value: [UInt8]
    package var headers: [KafkaHeader]
    /// Milliseconds since 1970; nil selects the time of sending.
    package var timestamp: Int64?

    /// Only topic and value are required.
    package init(
        topic: String, partition: Int32? = nil, key: [UInt8]? = nil, value: [UInt8], headers: [KafkaHeader] = [],
        timestamp: Int64? = nil
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
    }

    /// Bytes of key, value and headers, to which the size limit of the sender applies.
    package var size: Int {
        headers.reduce((key?.count ?? 0) + value.count) { $0 + $1.name.utf8.count + $1.value.count }
    }
}

/// A message that was read from a topic.
package struct KafkaReceivedMessage: Sendable, Hashable {
    package let topic: String
    package let partition: Int32
    /// The position in the partition.
    package let offset: Int64
    /// Nil for a message without a key.
    package let key: [UInt8]?
    package let value: [UInt8]
    package let headers: [KafkaHeader]
    /// Milliseconds since 1970 by the sender's or the broker's clock; nil if the message has none.
    package let timestamp: Int64?
    /// The assignment of the reader with which the message came: after a rebalance, offsets of an older one are
    /// invalid.
    let assignment: Int

    /// The first value of the header `name`.
    package func header(_ name: String) -> KafkaHeader? { headers.first { $0.name == name } }

    /// Copies all data out of `message`, which the caller continues to own.
    init(copying message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String, assignment: Int) {
        self.topic = topic
        self.assignment = assignment
        partition = message.pointee.partition
        offset = message.pointee.offset
        key = message.pointee.key.map { Self.bytes($0, count: message.pointee.key_len) }
        value = message.pointee.payload.map { Self.bytes($0, count: message.pointee.len) } ?? []
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let milliseconds = rd_kafka_message_timestamp(message, &kind)
        timestamp = kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : milliseconds
        var list: OpaquePointer?
        var headers: [KafkaHeader] = []
        // The message continues to own the list.
        if rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list {
            for index in 0..<rd_kafka_header_cnt(list) {
                var name: UnsafePointer<CChar>?
                var content: UnsafeRawPointer?
                var size = 0
                guard rd_kafka_header_get_all(list, index, &name, &content, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
                    let name
                else { break }
                headers.append(
                    KafkaHeader(
                        name: String(cString: name), value: content.map { Self.bytes($0, count: size) } ?? []))
            }
        }
        self.headers = headers
    }

    private static func bytes(_ start: UnsafeRawPointer, count: Int) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}

/// One partition of a topic.
package struct KafkaPartition: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let topic: String
    /// Counted from 0.
    package let number: Int32

    /// By topic, then by number.
    package static func < (left: KafkaPartition, right: KafkaPartition) -> Bool {
        (left.topic, left.number) < (right.topic, right.number)
    }

    /// `topic/number`.
    package var description: String { "\(topic)/\(number)" }
}

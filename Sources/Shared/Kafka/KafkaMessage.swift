internal import CLibRdKafka

/// One header of a message. Names may repeat; the order is kept.
package struct KafkaHeader: Sendable, Hashable {
    /// Its name, not empty.
    package let name: String
    /// Its value.
    package let value: [UInt8]

    /// A header with a value of bytes.
    package init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// A header with a value of text.
    package init(name: String, text: String) { self.init(name: name, value: Array(text.utf8)) }

    /// The value as text, if it is UTF-8.
    package var text: String? { String(validating: value, as: UTF8.self) }
}

/// A message to be sent.
package struct KafkaMessage: Sendable, Hashable {
    /// The topic, which must exist.
    package var topic: String
    /// The partition; nil lets the client choose: by the key's hash, or any where there is no key.
    package var partition: Int32?
    /// Messages of one key go to one partition.
    package var key: [UInt8]?
    /// The content.
    package var value: [UInt8]
    /// Headers, in order.
    package var headers: [KafkaHeader]
    /// Milliseconds since 1970; nil: the time of sending.
    package var timestamp: Int64?

    /// A message; only topic and value are needed.
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

    /// Bytes of key, value and headers: what the sender's limit counts.
    package var size: Int {
        headers.reduce((key?.count ?? 0) + value.count) { $0 + $1.name.utf8.count + $1.value.count }
    }
}

/// A message that was read.
package struct KafkaReceivedMessage: Sendable, Hashable {
    /// Where it was read.
    package let topic: String
    /// The partition of the topic.
    package let partition: Int32
    /// Its place in the partition.
    package let offset: Int64
    /// The key, if it has one.
    package let key: [UInt8]?
    /// The content.
    package let value: [UInt8]
    /// Headers, in order.
    package let headers: [KafkaHeader]
    /// Milliseconds since 1970 by the sender's or the broker's clock; nil when there is none.
    package let timestamp: Int64?
    /// Which assignment of the reader it came with: after a rebalance, offsets of an older one mean nothing.
    let assignment: Int

    /// The first value of the header `name`.
    package func header(_ name: String) -> KafkaHeader? { headers.first { $0.name == name } }

    /// Copies everything out of `message`, which stays the caller's.
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
        // The list stays the message's.
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
    /// The topic.
    package let topic: String
    /// The number, from 0.
    package let number: Int32

    /// By topic, then by number.
    package static func < (left: KafkaPartition, right: KafkaPartition) -> Bool {
        (left.topic, left.number) < (right.topic, right.number)
    }

    /// `topic/number`.
    package var description: String { "\(topic)/\(number)" }
}

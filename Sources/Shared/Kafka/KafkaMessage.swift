internal import CLibRdKafka

/// One header of a message. Names may repeat; the order is kept.
public struct KafkaHeader: Sendable, Hashable {
    /// Its name, not empty.
    public let name: String
    /// Its value.
    public let value: [UInt8]

    /// A header with a value of bytes.
    public init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// A header with a value of text.
    public init(name: String, text: String) { self.init(name: name, value: Array(text.utf8)) }

    /// The value as text, if it is UTF-8.
    public var text: String? { String(validating: value, as: UTF8.self) }
}

/// A message to be sent.
public struct KafkaMessage: Sendable, Hashable {
    /// The topic, which must exist.
    public var topic: String
    /// The partition; nil lets the client choose: by the key's hash, or any where there is no key.
    public var partition: Int32?
    /// Messages of one key go to one partition.
    public var key: [UInt8]?
    /// The content.
    public var value: [UInt8]
    /// Headers, in order.
    public var headers: [KafkaHeader]
    /// Milliseconds since 1970; nil: the time of sending.
    public var timestamp: Int64?

    /// A message; only topic and value are needed.
    public init(
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
    public var size: Int {
        headers.reduce((key?.count ?? 0) + value.count) { $0 + $1.name.utf8.count + $1.value.count }
    }
}

/// A message that was read.
public struct KafkaReceivedMessage: Sendable, Hashable {
    /// Where it was read.
    public let topic: String
    /// The partition of the topic.
    public let partition: Int32
    /// Its place in the partition.
    public let offset: Int64
    /// The key, if it has one.
    public let key: [UInt8]?
    /// The content.
    public let value: [UInt8]
    /// Headers, in order.
    public let headers: [KafkaHeader]
    /// Milliseconds since 1970 by the sender's or the broker's clock; nil when there is none.
    public let timestamp: Int64?
    /// Which assignment of the reader it came with: after a rebalance, offsets of an older one mean nothing.
    let assignment: Int

    /// The first value of the header `name`.
    public func header(_ name: String) -> KafkaHeader? { headers.first { $0.name == name } }

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
public struct KafkaPartition: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The topic.
    public let topic: String
    /// The number, from 0.
    public let number: Int32

    /// By topic, then by number.
    public static func < (left: KafkaPartition, right: KafkaPartition) -> Bool {
        (left.topic, left.number) < (right.topic, right.number)
    }

    /// `topic/number`.
    public var description: String { "\(topic)/\(number)" }
}

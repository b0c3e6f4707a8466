internal import FoundationEssentials

/// The used part of librdkafka's statistics (STATISTICS.md).
struct KafkaStatistics: Decodable {
    struct Topic: Decodable {
        let partitions: [String: Partition]
    }

    struct Partition: Decodable {
        let low: Int64
        let high: Int64
        let lagOfCommit: Int64

        enum CodingKeys: String, CodingKey {
            case low = "lo_offset"
            case high = "hi_offset"
            case lagOfCommit = "consumer_lag"
        }

        /// Messages after the committed position; nil until a position is known. An empty partition has none.
        var lag: Int64? {
            if lagOfCommit >= 0 { return lagOfCommit }
            return high >= 0 && low == high ? 0 : nil
        }
    }

    struct Broker: Decodable {
        let nodeid: Int
        let state: String
    }

    let topics: [String: Topic]
    let brokers: [String: Broker]

    init?(json: String) {
        guard let value = try? JSONDecoder().decode(KafkaStatistics.self, from: Data(json.utf8)) else { return nil }
        self = value
    }

    /// The number of unread messages in `partitions`; nil while that of any partition is unknown.
    func lag(of partitions: [KafkaPartition]) -> Int64? {
        var sum: Int64 = 0
        for partition in partitions {
            guard let lag = topics[partition.topic]?.partitions["\(partition.number)"]?.lag else { return nil }
            sum += lag
        }
        return sum
    }

    /// The number of brokers with an open connection, without bootstrap addresses.
    var connectedBrokers: Int { brokers.values.count { $0.nodeid >= 0 && $0.state == "UP" } }
}

internal import FoundationEssentials

/// What we read of librdkafka's statistics (STATISTICS.md).
struct KafkaStatistics: Decodable {
    struct Topic: Decodable {
        let partitions: [String: Partition]
    }

    struct Partition: Decodable {
        let lo_offset: Int64
        let hi_offset: Int64
        let consumer_lag: Int64

        /// Messages after the committed position; nil until one is known. An empty partition has none to wait.
        var lag: Int64? {
            if consumer_lag >= 0 { return consumer_lag }
            return hi_offset >= 0 && lo_offset == hi_offset ? 0 : nil
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

    /// Messages that wait in `partitions`; nil as long as that of any is unknown.
    func lag(of partitions: [KafkaPartition]) -> Int64? {
        var sum: Int64 = 0
        for partition in partitions {
            guard let lag = topics[partition.topic]?.partitions["\(partition.number)"]?.lag else { return nil }
            sum += lag
        }
        return sum
    }

    /// Brokers with an open connection, those known by number only.
    var connectedBrokers: Int { brokers.values.count { $0.nodeid >= 0 && $0.state == "UP" } }
}

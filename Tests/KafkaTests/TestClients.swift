import Logging
import TestSupport

@testable import Kafka

/// A producer as jobs use it.
func makeProducer(_ configuration: KafkaConfiguration, linger: Duration = .zero) async throws -> KafkaProducer {
    try await KafkaProducer(configuration: configuration, linger: linger, logger: TestKafka.logger)
}

func makeReader(
    _ configuration: KafkaConfiguration, topic: String, from start: KafkaTopicReader.Start
) async throws -> KafkaTopicReader {
    try await KafkaTopicReader(configuration: configuration, topic: topic, from: start, logger: TestKafka.logger)
}

func makeCluster(topics: [KafkaTopicDefinition]) async throws -> KafkaMockCluster {
    try await KafkaMockCluster(topics: topics, logger: TestKafka.logger)
}

func makeAdmin(_ configuration: KafkaConfiguration) async throws -> KafkaAdmin {
    try await KafkaAdmin(configuration: configuration, logger: TestKafka.logger)
}

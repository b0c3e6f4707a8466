internal import BlockingIO
internal import Timing
internal import CLibRdKafka

extension KafkaHandle {
    /// Creates topics. Returns the names of the created ones; an existing topic is no error.
    func createTopics(_ definitions: [KafkaTopicDefinition], deadline: Deadline) throws(KafkaError) -> [String] {
        var topics: [OpaquePointer?] = []
        defer { for topic in topics { rd_kafka_NewTopic_destroy(topic) } }
        for definition in definitions { topics.append(try Self.newTopic(definition)) }

        let options = rd_kafka_AdminOptions_new(pointer, RD_KAFKA_ADMIN_OP_CREATETOPICS)
        defer { rd_kafka_AdminOptions_destroy(options) }
        var text = ErrorText()
        let limit = max(1, deadline.remainingMilliseconds)
        // The limit of the reply, and the limit of the controller's wait for the brokers.
        rd_kafka_AdminOptions_set_request_timeout(options, limit, &text.buffer, ErrorText.size)
        rd_kafka_AdminOptions_set_operation_timeout(options, limit, &text.buffer, ErrorText.size)

        let queue = rd_kafka_queue_new(pointer)!
        defer { rd_kafka_queue_destroy(queue) }
        rd_kafka_CreateTopics(pointer, &topics, topics.count, options, queue)
        // The request's own time limit ends this wait; this limit is for a librdkafka that hangs.
        guard let event = rd_kafka_queue_poll(queue, limit + 2000) else {
            throw KafkaError(code: .timedOut, action: "create topics")
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let result = rd_kafka_event_CreateTopics_result(event) else {
            throw KafkaError(
                code: .init(code), action: "create topics",
                cause: rd_kafka_event_error_string(event).map { String(cString: $0) })
        }
        return try Self.createdNames(result)
    }

    private static func newTopic(_ definition: KafkaTopicDefinition) throws(KafkaError) -> OpaquePointer {
        var text = ErrorText()
        guard
            let topic = rd_kafka_NewTopic_new(
                definition.name, Int32(clamping: definition.partitions),
                Int32(clamping: definition.replicationFactor ?? -1), &text.buffer, ErrorText.size)
        else {
            throw KafkaError(
                code: .invalidArgument, action: "create the topic '\(definition.name)'", cause: text.string)
        }
        for (name, value) in definition.configuration.sorted(by: { $0.key < $1.key }) {
            rd_kafka_NewTopic_set_config(topic, name, value)
        }
        return topic
    }

    private static func createdNames(_ result: OpaquePointer) throws(KafkaError) -> [String] {
        var count = 0
        guard let topics = rd_kafka_CreateTopics_result_topics(result, &count) else { return [] }
        var created: [String] = []
        for index in 0..<count {
            guard let topic = topics[index] else { continue }
            let name = String(cString: rd_kafka_topic_result_name(topic))
            switch rd_kafka_topic_result_error(topic) {
            case RD_KAFKA_RESP_ERR_NO_ERROR: created.append(name)
            case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: break
            case let code:
                throw KafkaError(
                    code: .init(code), action: "create the topic '\(name)'",
                    cause: rd_kafka_topic_result_error_string(topic).map { String(cString: $0) })
            }
        }
        return created
    }
}

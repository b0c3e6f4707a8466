package import JobModel
package import Kafka

extension KafkaMessage {
    /// A CloudEvent in Kafka's binary mode. Its key is its run, so that a run's events stay in order; nil spreads
    /// messages over all partitions.
    package init(_ event: CloudEvent, topic: String, key: RunID?) {
        self.init(
            topic: topic, key: key.map { Array($0.description.utf8) }, value: event.data,
            headers: event.headers.map { KafkaHeader(name: $0.name, text: $0.value) })
    }
}

extension KafkaReceivedMessage {
    /// Reads the event of a received message. Throws `InvalidValue` for the first header or key that is wrong.
    package func event<Body: EventBody>(of type: Body.Type) throws(InvalidValue) -> Event<Body> {
        try CloudEvent.decode(
            type, headers: headers.compactMap { header in header.text.map { (header.name, $0) } }, value: value)
    }
}

import CommandLineOptions
import Testing

@testable import Kafka

@Suite struct KafkaErrorTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let code: KafkaError.Code
        var cause: String?
        let exitCode: ExitCode
        var testDescription: String { "\(code)" }
    }

    @Test(arguments: [
        Row(code: .transport, exitCode: .kafkaUnavailable),
        Row(code: .allBrokersDown, exitCode: .kafkaUnavailable),
        Row(code: .resolve, exitCode: .kafkaUnavailable),
        Row(code: .timedOut, exitCode: .kafkaUnavailable),
        Row(code: .closed, exitCode: .kafkaUnavailable),
        Row(code: .ssl, cause: "SSL handshake failed: unexpected eof while reading", exitCode: .kafkaUnavailable),
        Row(code: .ssl, cause: "SSL handshake failed: certificate verify failed", exitCode: .usage),
        // NOT_COORDINATOR, NOT_ENOUGH_REPLICAS: the cluster is being rolled out.
        Row(code: .init(rawValue: 16), exitCode: .kafkaUnavailable),
        Row(code: .init(rawValue: 19), exitCode: .kafkaUnavailable),
        Row(code: .unknownTopic, exitCode: .setupNeeded),
        Row(code: .init(rawValue: 3), exitCode: .setupNeeded),
        Row(code: .authentication, exitCode: .usage),
        // Topic, group and cluster authorization failed.
        Row(code: .init(rawValue: 29), exitCode: .usage),
        Row(code: .init(rawValue: 30), exitCode: .usage),
        Row(code: .init(rawValue: 31), exitCode: .usage),
        // INVALID_REPLICATION_FACTOR, POLICY_VIOLATION.
        Row(code: .init(rawValue: 38), exitCode: .usage),
        Row(code: .init(rawValue: 44), exitCode: .usage),
        Row(code: .messageTooLarge, exitCode: .usage),
        Row(code: .invalidArgument, exitCode: .usage),
    ])
    func noPermanentErrorAsksToBeScheduledAgain(_ row: Row) {
        let error = KafkaError(code: row.code, action: "test", cause: row.cause)
        #expect(error.exitCode == row.exitCode)
    }

    @Test func aMissingTopicOrRightSaysWhatToDo() {
        #expect(KafkaError(code: .unknownTopic, action: "a").hint?.contains("bda-coordinator setup") == true)
        #expect(KafkaError(code: .init(rawValue: 29), action: "a").hint?.contains("ACL") == true)
    }
}

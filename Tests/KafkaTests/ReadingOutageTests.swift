import Testing

@testable import Kafka

@Suite struct ReadingOutageTests {
    private let start = ContinuousClock.now
    private let missing = KafkaError(code: .unknownTopic, action: "read")
    private let forbidden = KafkaError(code: .init(rawValue: 29), action: "read")

    private func makeOutage() -> ReadingOutage {
        ReadingOutage(interval: .seconds(10), patience: .seconds(80), now: start)
    }

    private func after(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    @Test func aMemberInPeaceNeverRejoins() {
        var outage = makeOutage()
        outage.noteAssignment(now: after(1))
        #expect(outage.advice(isConnected: true, hasUnread: true, now: after(10_000)) == .wait)
        #expect(!outage.isUnderWay)
    }

    @Test func aLostConnectionIsLibrdkafkasOwnAffair() {
        var outage = makeOutage()
        outage.noteAssignment(now: after(1))
        let begins = outage.note(KafkaError(code: .transport, action: "read"), now: after(2))
        #expect(!begins)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(100)) == .wait)
    }

    @Test func errorsBeginOneOutageAndDoNotPutOffTheRejoining() {
        var outage = makeOutage()
        outage.noteAssignment(now: after(1))
        let (first, second) = (outage.note(missing, now: after(2)), outage.note(forbidden, now: after(11)))
        #expect(first && !second)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(11)) == .wait)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(12)) == .rejoin)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(13)) == .wait)
        #expect(outage.isUnderWay)
    }

    @Test func withoutABrokerThereIsNothingToJoin() {
        var outage = makeOutage()
        _ = outage.note(missing, now: after(0))
        #expect(outage.advice(isConnected: false, hasUnread: false, now: after(100)) == .wait)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(101)) == .rejoin)
    }

    @Test func itIsOverWhenAnAssignmentStaysQuiet() {
        var outage = makeOutage()
        _ = outage.note(missing, now: after(0))
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(10)) == .rejoin)
        outage.noteRevocation(now: after(10))
        outage.noteAssignment(now: after(11))
        // The error comes back: nothing is over.
        _ = outage.note(missing, now: after(12))
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(21)) == .wait)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(22)) == .rejoin)
        outage.noteAssignment(now: after(23))
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(32)) == .wait)
        // What was not looked at may be an error.
        #expect(outage.advice(isConnected: true, hasUnread: true, now: after(33)) == .wait)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(33)) == .over(rejoins: 2))
        #expect(!outage.isUnderWay)
        let begins = outage.note(missing, now: after(40))
        #expect(begins)
    }

    @Test func anAssignmentThatNeverComesIsAnOutageToo() {
        var outage = makeOutage()
        outage.noteAssignment(now: after(1))
        outage.noteRevocation(now: after(100))
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(179)) == .wait)
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(180)) == .rejoin)
        #expect(outage.isUnderWay)
        outage.noteAssignment(now: after(181))
        #expect(outage.advice(isConnected: true, hasUnread: false, now: after(191)) == .over(rejoins: 1))
    }
}

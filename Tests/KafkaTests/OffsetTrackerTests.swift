import Testing

@testable import Kafka

struct OffsetTrackerTests {
    @Test func positionMovesOverWhatIsAllAcknowledged() {
        var tracker = OffsetTracker()
        for offset: Int64 in [5, 6, 7, 9] { tracker.took(offset) }
        #expect(tracker.acknowledge(6) == nil)
        #expect(tracker.acknowledge(7) == nil)
        // 8 is a gap, as compaction and transactions leave them.
        #expect(tracker.acknowledge(5) == 9)
        #expect(tracker.acknowledge(9) == 10)
    }

    @Test func repeatedAndUnknownAcknowledgementsChangeNothing() {
        var tracker = OffsetTracker()
        tracker.took(1)
        #expect(tracker.acknowledge(0) == nil)
        #expect(tracker.acknowledge(1) == 2)
        #expect(tracker.acknowledge(1) == nil)
    }
}

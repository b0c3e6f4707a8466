/// The messages of one partition that were taken and not yet acknowledged.
///
/// A committed offset covers all smaller ones, and slots acknowledge in any order. So the position advances only over
/// acknowledged messages: the others are delivered again after a crash.
struct OffsetTracker {
    private var outstanding: [Int64] = []
    private var end: Int64 = 0

    /// Notes that the message at `offset` was taken; offsets come in ascending order.
    mutating func took(_ offset: Int64) {
        outstanding.append(offset)
        end = offset + 1
    }

    /// Notes that the message at `offset` was acknowledged. Returns the position to commit, or nil if it did not
    /// change.
    mutating func acknowledge(_ offset: Int64) -> Int64? {
        guard let index = outstanding.firstIndex(of: offset) else { return nil }
        outstanding.remove(at: index)
        return index == 0 ? outstanding.first ?? end : nil
    }
}

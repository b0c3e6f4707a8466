/// A block of memory of a fixed capacity that rows are copied into and an upload part is sent from, without a copy in
/// between.
///
/// `@unchecked Sendable`: a buffer has one holder at a time. The reader fills it, hands it over, and does not touch it
/// until it comes back from the pool (see `Worker/ExportPipeline`).
package final class ByteBuffer: @unchecked Sendable {
    /// The most bytes it can hold.
    package let capacity: Int
    /// The bytes it holds.
    package private(set) var count = 0

    private let base: UnsafeMutableRawPointer

    /// Allocates `capacity` bytes; they are freed with the object.
    package init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// A buffer that holds these bytes and has no room for more.
    package convenience init(_ bytes: [UInt8]) {
        self.init(capacity: bytes.count)
        bytes.withUnsafeBytes { _ = append($0) }
    }

    deinit { base.deallocate() }

    /// The filled part. Valid while the buffer lives and is not changed.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// How many more bytes fit.
    @inlinable package var free: Int { capacity - count }

    /// Copies as many bytes as fit and returns how many that were.
    package func append(_ source: UnsafeRawBufferPointer) -> Int {
        let taken = min(source.count, capacity - count)
        if taken > 0 {
            (base + count).copyMemory(from: source.baseAddress!, byteCount: taken)
            count += taken
        }
        return taken
    }

    /// Lets `fill` write into the free part; it returns how many bytes it wrote.
    package func append(with fill: (UnsafeMutableRawBufferPointer) throws -> Int) rethrows {
        grow(by: try fill(room))
    }

    /// The free part.
    var room: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base + count, count: free) }

    /// Counts bytes that were written into `room`.
    func grow(by written: Int) {
        precondition(written >= 0 && written <= free, "more bytes written than there was room for")
        count += written
    }

    /// Forgets the content; the memory stays.
    package func removeAll() { count = 0 }
}

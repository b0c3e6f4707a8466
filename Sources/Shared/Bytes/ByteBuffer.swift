/// A block of memory of a fixed capacity. Rows are copied into it and an upload part is sent from it, without a copy in
/// between.
///
/// `@unchecked Sendable`: a buffer has one holder at a time. The reader fills it, hands it over, and does not access it
/// until it is returned to the pool (see `Worker/ExportPipeline`).
package final class ByteBuffer: @unchecked Sendable {
    /// In bytes.
    package let capacity: Int
    /// In bytes.
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

    /// The number of bytes that still fit.
    @inlinable package var free: Int { capacity - count }

    /// Copies as many bytes as fit and returns their number.
    package func append(_ source: UnsafeRawBufferPointer) -> Int {
        let taken = min(source.count, capacity - count)
        if taken > 0 {
            (base + count).copyMemory(from: source.baseAddress!, byteCount: taken)
            count += taken
        }
        return taken
    }

    /// Lets `fill` write into the free part; it returns the number of bytes written.
    package func append(with fill: (UnsafeMutableRawBufferPointer) throws -> Int) rethrows {
        grow(by: try fill(room))
    }

    /// The free part.
    var room: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base + count, count: free) }

    /// Adds bytes that were written into `room`.
    func grow(by written: Int) {
        precondition(written >= 0 && written <= free, "more bytes written than there was room for")
        count += written
    }

    /// Removes the content and keeps the memory.
    package func removeAll() { count = 0 }
}

import CZlib
import CZstd

/// Compresses a stream of bytes into buffers of a fixed size. One instance belongs to one task at a time.
///
/// The output is deterministic: the same bytes, format, level and library version give the same file, whatever the sizes
/// of the pieces that come in and of the buffers that go out. A gzip header carries no time and no name.
///
///     while !rest.isEmpty {
///         let taken = try compressor.compress(rest, into: buffer)
///         rest = UnsafeRawBufferPointer(rebasing: rest[taken...])
///         if buffer.free == 0 { /* send the buffer, take an empty one */ }
///     }
///     while try !compressor.finish(into: buffer) { /* send the buffer, take an empty one */ }
package struct Compressor: ~Copyable {
    private enum Stream {
        // zlib keeps the address of its stream, so the stream needs a fixed address.
        case gzip(UnsafeMutablePointer<z_stream>)
        case zstd(OpaquePointer)
    }

    package let format: CompressionFormat

    private let stream: Stream
    private var isFinished = false

    /// Prepares a stream. Throws for a `level` outside of `format.levels`; nil selects the library's default.
    package init(_ format: CompressionFormat, level: Int? = nil) throws(CompressionError) {
        let level = level ?? format.defaultLevel
        guard format.levels.contains(level) else {
            let allowed = "\(format.levels.lowerBound) to \(format.levels.upperBound)"
            throw CompressionError(
                operation: "compress", format: format, code: 0, reason: "level \(level) is not within \(allowed)")
        }
        stream = try Self.open(format, level: level)
        self.format = format
    }

    private static func open(_ format: CompressionFormat, level: Int) throws(CompressionError) -> Stream {
        switch format {
        case .gzip:
            let z = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            z.initialize(to: z_stream())
            let status = bda_deflate_init_gzip(z, Int32(level))
            guard status == Z_OK else {
                z.deallocate()
                throw .zlib("compress", status)
            }
            return .gzip(z)
        case .zstd:
            guard let context = ZSTD_createCCtx() else {
                throw CompressionError(operation: "compress", format: format, code: 0, reason: "out of memory")
            }
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
            ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
            return .zstd(context)
        }
    }

    deinit {
        switch stream {
        case .gzip(let z):
            deflateEnd(z)
            z.deallocate()
        case .zstd(let context):
            ZSTD_freeCCtx(context)
        }
    }

    /// Takes bytes from `input` until all are taken or `output` is full, and returns the number of bytes taken: fewer
    /// than given only if `output` is full. The first call after a finished stream begins a new one.
    package mutating func compress(
        _ input: UnsafeRawBufferPointer, into output: ByteBuffer
    ) throws(CompressionError) -> Int {
        try beginIfFinished()
        var taken = 0
        while taken < input.count, output.free > 0 {
            taken += try step(UnsafeRawBufferPointer(rebasing: input[taken...]), into: output, isLast: false).taken
        }
        return taken
    }

    /// Writes the end of the stream. Returns true if all of it is in `output`; false if `output` is full and another
    /// call with an empty buffer is needed.
    package mutating func finish(into output: ByteBuffer) throws(CompressionError) -> Bool {
        try beginIfFinished()
        while !isFinished, output.free > 0 {
            isFinished = try step(UnsafeRawBufferPointer(start: nil, count: 0), into: output, isLast: true).isComplete
        }
        return isFinished
    }

    private mutating func beginIfFinished() throws(CompressionError) {
        guard isFinished else { return }
        isFinished = false
        switch stream {
        case .gzip(let z):
            let status = deflateReset(z)
            if status != Z_OK { throw .zlib("compress", status) }
        case .zstd(let context):
            ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
        }
    }

    private func step(
        _ input: UnsafeRawBufferPointer, into output: ByteBuffer, isLast: Bool
    ) throws(CompressionError) -> (taken: Int, isComplete: Bool) {
        switch stream {
        case .gzip(let z):
            let (taken, written, status) = z.run(
                deflate, isLast ? Z_FINISH : Z_NO_FLUSH, from: input, into: output.room)
            output.grow(by: written)
            // Z_BUF_ERROR: no progress was possible in this call, which is no fault.
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
                throw .zlib("compress", status)
            }
            return (taken, status == Z_STREAM_END)
        case .zstd(let context):
            var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var target = ZSTD_outBuffer(dst: output.room.baseAddress, size: output.free, pos: 0)
            let left = ZSTD_compressStream2(context, &target, &source, isLast ? ZSTD_e_end : ZSTD_e_continue)
            output.grow(by: target.pos)
            guard ZSTD_isError(left) == 0 else { throw .zstd("compress", left) }
            return (source.pos, isLast && left == 0)
        }
    }
}

extension UnsafeMutablePointer<z_stream> {
    /// One call of `deflate` or `inflate` between two blocks. Returns the numbers of bytes taken and written, and the
    /// status.
    func run(
        _ call: (UnsafeMutablePointer<z_stream>, Int32) -> Int32, _ flush: Int32,
        from input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> (taken: Int, written: Int, status: Int32) {
        // zlib counts in 32 bits.
        let available = UInt32(clamping: input.count)
        let space = UInt32(clamping: output.count)
        // zlib does not write to next_in; its declaration only lacks the const.
        pointee.next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?.assumingMemoryBound(to: UInt8.self)
        pointee.avail_in = available
        pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        pointee.avail_out = space
        let status = call(self, flush)
        return (Int(available - pointee.avail_in), Int(space - pointee.avail_out), status)
    }
}

import CZlib
import CZstd

/// Decompresses one stream of bytes into buffers of a fixed size. One instance belongs to one task at a time.
///
/// A file is complete only if `isAtEnd` is true after its last byte: a truncated stream raises no error by itself.
package struct Decompressor: ~Copyable {
    private enum Stream {
        case gzip(UnsafeMutablePointer<z_stream>)
        case zstd(OpaquePointer)
    }

    package let format: CompressionFormat
    /// Whether the end of the stream, with its checksum, was read.
    package private(set) var isAtEnd = false

    private let stream: Stream

    package init(_ format: CompressionFormat) throws(CompressionError) {
        stream = try Self.open(format)
        self.format = format
    }

    private static func open(_ format: CompressionFormat) throws(CompressionError) -> Stream {
        switch format {
        case .gzip:
            let z = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            z.initialize(to: z_stream())
            let status = bda_inflate_init_gzip(z)
            guard status == Z_OK else {
                z.deallocate()
                throw .zlib("decompress", status)
            }
            return .gzip(z)
        case .zstd:
            guard let context = ZSTD_createDCtx() else {
                throw CompressionError(operation: "decompress", format: format, code: 0, reason: "out of memory")
            }
            return .zstd(context)
        }
    }

    deinit {
        switch stream {
        case .gzip(let z):
            inflateEnd(z)
            z.deallocate()
        case .zstd(let context):
            ZSTD_freeDCtx(context)
        }
    }

    /// Takes bytes from `input` until all are taken or `output` is full, and returns the number of bytes taken. Call it
    /// with the rest, or with no bytes, as long as `output` is full. Bytes after the end of the stream are an error.
    package mutating func decompress(
        _ input: UnsafeRawBufferPointer, into output: ByteBuffer
    ) throws(CompressionError) -> Int {
        var taken = 0
        while output.free > 0 {
            if isAtEnd {
                guard taken == input.count else {
                    throw CompressionError(
                        operation: "decompress", format: format, code: 0, reason: "bytes follow the end of the stream")
                }
                break
            }
            let before = output.count
            let step = try step(UnsafeRawBufferPointer(rebasing: input[taken...]), into: output)
            taken += step
            if step == 0, output.count == before { break }
        }
        return taken
    }

    private mutating func step(
        _ input: UnsafeRawBufferPointer, into output: ByteBuffer
    ) throws(CompressionError) -> Int {
        switch stream {
        case .gzip(let z):
            let (taken, written, status) = z.run(inflate, Z_NO_FLUSH, from: input, into: output.room)
            output.grow(by: written)
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
                throw .zlib("decompress", status)
            }
            isAtEnd = status == Z_STREAM_END
            return taken
        case .zstd(let context):
            var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var target = ZSTD_outBuffer(dst: output.room.baseAddress, size: output.free, pos: 0)
            let hint = ZSTD_decompressStream(context, &target, &source)
            output.grow(by: target.pos)
            guard ZSTD_isError(hint) == 0 else { throw .zstd("decompress", hint) }
            isAtEnd = hint == 0
            return source.pos
        }
    }
}

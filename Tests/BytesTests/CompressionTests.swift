import Bytes
import Testing

@Suite struct CompressionTests {
    private static let formats = CompressionFormat.allCases

    /// CSV-like text, long enough to pass the libraries' windows and inner buffers.
    private static let text: [UInt8] = {
        var text: [UInt8] = []
        for row in 0..<60_000 {
            text += "\(row),C\(row &* 2_654_435_761 % 99_991),EUR,\(row % 1000).\(row % 100)\n".utf8
        }
        return text
    }()

    @Test(arguments: formats, [(1, 7), (7, 1), (1000, 64), (70_000, 4096), (10_000_000, 1 << 20)])
    func `what goes in comes out, whatever the sizes of the pieces`(
        format: CompressionFormat, sizes: (piece: Int, room: Int)
    ) throws {
        let text = sizes.piece * sizes.room < 100 ? Array(Self.text.prefix(5000)) : Self.text
        let packed = try compress(text, format, piece: sizes.piece, room: sizes.room)
        #expect(packed.count < text.count)
        #expect(try decompress(packed, format, piece: sizes.room, room: sizes.piece) == text)
    }

    @Test(arguments: formats)
    func `the bytes depend on nothing but the content`(format: CompressionFormat) throws {
        let first = try compress(Self.text, format, piece: 1 << 20, room: 1 << 20)
        #expect(try compress(Self.text, format, piece: 1 << 20, room: 1 << 20) == first)
        #expect(try compress(Self.text, format, piece: 1 << 20, room: 4096) == first)
        #expect(try compress(Self.text, format, piece: 999, room: 1 << 20) == first)
    }

    @Test(arguments: formats)
    func `an empty stream is a valid file`(format: CompressionFormat) throws {
        let packed = try compress([], format, piece: 1, room: 64)
        #expect(!packed.isEmpty)
        #expect(try decompress(packed, format, piece: 64, room: 64) == [])
    }

    @Test(arguments: formats)
    func `one compressor writes one file after the other`(format: CompressionFormat) throws {
        var compressor = try Compressor(format)
        let alone = try compress(Array("abc".utf8), format, piece: 8, room: 256)
        for _ in 0..<3 {
            let buffer = ByteBuffer(capacity: 256)
            #expect(try Array("abc".utf8).withUnsafeBytes { try compressor.compress($0, into: buffer) } == 3)
            #expect(try compressor.finish(into: buffer))
            #expect(Array(buffer.bytes) == alone)
        }
    }

    @Test func `a gzip header holds no time and no name`() throws {
        let packed = try compress(Self.text, .gzip, piece: 1000, room: 1000)
        // RFC 1952 section 2.3: ID1 ID2, CM = deflate, FLG = none, MTIME = 0.
        #expect(Array(packed.prefix(8)) == [0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
    }

    // Written by gzip 1.12 and zstd 1.5.4.
    @Test(arguments: [
        (CompressionFormat.gzip, "1f8b0800000000000203cb4cd149cccd2fcd2be132d43134d03335e002002e01268712000000"),
        (CompressionFormat.zstd, "28b52ffd241291000069642c616d6f756e740a312c31302e35300a39547a02"),
    ])
    func `files of the command-line tools are read`(format: CompressionFormat, hex: String) throws {
        let packed = try #require(Hex.decode(hex))
        #expect(try decompress(packed, format, piece: 3, room: 5) == Array("id,amount\n1,10.50\n".utf8))
    }

    @Test(arguments: formats)
    func `a level makes a difference and only real levels are taken`(format: CompressionFormat) throws {
        let fast = try compress(Self.text, format, level: 1, piece: 1 << 20, room: 1 << 20)
        let small = try compress(Self.text, format, level: format.levels.upperBound, piece: 1 << 20, room: 1 << 20)
        #expect(small.count < fast.count)
        #expect(try decompress(small, format, piece: 1 << 20, room: 1 << 20) == Self.text)
        for level in [0, -1, format.levels.upperBound + 1] {
            let error = #expect(throws: CompressionError.self) { _ = try Compressor(format, level: level) }
            #expect(error?.reason.contains("\(level) is not within 1 to") == true)
        }
    }

    @Test(arguments: formats)
    func `a file that was cut off is not at its end`(format: CompressionFormat) throws {
        let packed = try compress(Self.text, format, piece: 1 << 20, room: 1 << 20)
        var decompressor = try Decompressor(format)
        let output = ByteBuffer(capacity: Self.text.count + 1)
        let cut = packed.dropLast(1)
        #expect(try Array(cut).withUnsafeBytes { try decompressor.decompress($0, into: output) } == cut.count)
        let isAtEnd = decompressor.isAtEnd
        #expect(!isAtEnd)
    }

    @Test(arguments: formats)
    func `a changed byte is found`(format: CompressionFormat) throws {
        var packed = try compress(Self.text, format, piece: 1 << 20, room: 1 << 20)
        packed[packed.count - 2] ^= 1
        let error = #expect(throws: CompressionError.self) {
            _ = try decompress(packed, format, piece: 4096, room: 4096)
        }
        #expect(error?.operation == "decompress")
        #expect(error?.code != 0)
    }

    @Test(arguments: formats)
    func `bytes after the end are an error`(format: CompressionFormat) throws {
        let packed = try compress(Array("abc".utf8), format, piece: 8, room: 256)
        #expect(throws: CompressionError.self) { _ = try decompress(packed + [0], format, piece: 4096, room: 4096) }
    }

    private func compress(
        _ bytes: [UInt8], _ format: CompressionFormat, level: Int? = nil, piece: Int, room: Int
    ) throws -> [UInt8] {
        var compressor = try Compressor(format, level: level)
        let buffer = ByteBuffer(capacity: room)
        var packed: [UInt8] = []
        try bytes.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let rest = bytes[start..<min(start + piece, bytes.count)]
                start += try compressor.compress(UnsafeRawBufferPointer(rebasing: rest), into: buffer)
                if buffer.free == 0 {
                    packed += buffer.bytes
                    buffer.removeAll()
                }
            }
        }
        while try !compressor.finish(into: buffer) {
            packed += buffer.bytes
            buffer.removeAll()
        }
        return packed + Array(buffer.bytes)
    }

    private func decompress(
        _ packed: [UInt8], _ format: CompressionFormat, piece: Int, room: Int
    ) throws -> [UInt8] {
        var decompressor = try Decompressor(format)
        let buffer = ByteBuffer(capacity: room)
        var bytes: [UInt8] = []
        try packed.withUnsafeBytes { packed in
            var start = 0
            repeat {
                buffer.removeAll()
                let rest = packed[start..<min(start + piece, packed.count)]
                start += try decompressor.decompress(UnsafeRawBufferPointer(rebasing: rest), into: buffer)
                bytes += buffer.bytes
            } while start < packed.count || buffer.free == 0
        }
        let isAtEnd = decompressor.isAtEnd
        #expect(isAtEnd)
        return bytes
    }
}

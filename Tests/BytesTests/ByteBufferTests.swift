import Bytes
import Testing

@Suite struct ByteBufferTests {
    @Test func `it takes what fits and says how much that was`() {
        let buffer = ByteBuffer(capacity: 5)
        #expect(Array("abc".utf8).withUnsafeBytes { buffer.append($0) } == 3)
        #expect(buffer.free == 2)
        #expect(Array("defg".utf8).withUnsafeBytes { buffer.append($0) } == 2)
        #expect(Array(buffer.bytes) == Array("abcde".utf8))
        #expect(Array("h".utf8).withUnsafeBytes { buffer.append($0) } == 0)
        buffer.removeAll()
        #expect(buffer.count == 0)
        #expect(buffer.free == 5)
    }

    @Test func `a writer fills the free part`() {
        let buffer = ByteBuffer(capacity: 4)
        buffer.append { room in
            #expect(room.count == 4)
            room[0] = 1
            room[1] = 2
            return 2
        }
        buffer.append { room in
            #expect(room.count == 2)
            room[0] = 3
            return 1
        }
        #expect(Array(buffer.bytes) == [1, 2, 3])
    }

    @Test func `a buffer of given bytes is full`() {
        let buffer = ByteBuffer([1, 2, 3])
        #expect(Array(buffer.bytes) == [1, 2, 3])
        #expect(buffer.free == 0)
        #expect(ByteBuffer([]).count == 0)
    }
}

import Bytes
import Foundation
import ObjectStore
import TestSupport
import Testing

/// Objects that are written in pieces.
extension ObjectStoreContract {
    /// Content of which no two blocks are alike.
    static func content(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 4096)
        var block = 0
        while bytes.count < count {
            bytes += SHA256.hash("\(block)").bytes
            bytes += [UInt8](repeating: UInt8(truncatingIfNeeded: block), count: 4064)
            block += 1
        }
        return Array(bytes.prefix(count))
    }

    /// Writes `bytes` as an upload, whole pieces last to first and at the same time.
    static func upload(
        _ bytes: [UInt8], to key: String, in store: any ObjectStore, options: WriteOptions
    ) async throws -> ObjectInfo {
        let upload = try await store.beginUpload(key, pieceBytes: pieceBytes, options: options)
        do {
            let whole = bytes.count / pieceBytes
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in (0..<whole).reversed() {
                    let piece = ByteBuffer(Array(bytes[number * pieceBytes..<(number + 1) * pieceBytes]))
                    group.addTask { try await upload.write(piece, number: number + 1) }
                }
                try await group.waitForAll()
            }
            let last = ByteBuffer(Array(bytes[(whole * pieceBytes)...]))
            return try await upload.finish(last: last, size: bytes.count, sha256: SHA256.hash(bytes))
        } catch {
            try await upload.abort()
            throw error
        }
    }

    @Test(arguments: stores, [0, 1, 1000, pieceBytes, pieceBytes + 1, 2 * pieceBytes, 3 * pieceBytes + 12_345])
    func `an upload arrives whole`(kind: TestObjectStore.Kind, size: Int) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = Self.content(size)
            let info = try await Self.upload(bytes, to: Self.hardKey, in: store, options: Self.csv)
            #expect(info.size == size)
            #expect(info.sha256 == SHA256.hash(bytes))
            let head = try #require(try await store.head(Self.hardKey))
            #expect(head.size == size)
            #expect(head.etag == info.etag)
            #expect(head.sha256 == nil || head.sha256 == info.sha256)
            #expect(head.sha256 != nil || size >= Self.pieceBytes || kind == .files)
            let buffer = ByteBuffer(capacity: 1_000_000)
            #expect(try await store.sha256(of: head, using: buffer) == info.sha256)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
        }
    }

    @Test(arguments: stores)
    func `nothing shows before an upload is finished`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = Self.content(Self.pieceBytes + 5)
            let upload = try await store.beginUpload("a/part.csv", pieceBytes: Self.pieceBytes, options: Self.csv)
            try await upload.write(ByteBuffer(Array(bytes[..<Self.pieceBytes])), number: 1)
            #expect(try await store.head("a/part.csv") == nil)
            #expect(try await store.list(prefix: "").isEmpty)
            #expect(try await store.pendingUploads(prefix: "a/pa").map(\.key) == ["a/part.csv"])
            #expect(try await store.pendingUploads(prefix: "b").isEmpty)
            let last = ByteBuffer(Array(bytes[Self.pieceBytes...]))
            _ = try await upload.finish(last: last, size: bytes.count, sha256: SHA256.hash(bytes))
            #expect(try await store.head("a/part.csv")?.size == bytes.count)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
        }
    }

    @Test(arguments: stores)
    func `an aborted upload leaves nothing`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let unused = try await store.beginUpload("a", pieceBytes: Self.pieceBytes, options: Self.csv)
            try await unused.abort()
            let upload = try await store.beginUpload("a", pieceBytes: Self.pieceBytes, options: Self.csv)
            try await upload.write(ByteBuffer(Self.content(Self.pieceBytes)), number: 1)
            // As by a worker that is being stopped.
            let task = Task<Void, any Error> {
                withUnsafeCurrentTask { $0?.cancel() }
                #expect(Task.isCancelled)
                try await upload.abort()
            }
            try await task.value
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
            try await upload.abort()
            #expect(try await store.head("a") == nil)
        }
    }

    @Test(arguments: stores)
    func `what a killed writer left is found and removed`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            for key in ["run=1/a", "run=1/b c=ü", "run=2/a"] {
                let upload = try await store.beginUpload(key, pieceBytes: Self.pieceBytes, options: Self.csv)
                try await upload.write(ByteBuffer(Self.content(Self.pieceBytes)), number: 1)
            }
            let pending = try await store.pendingUploads(prefix: "run=1/")
            #expect(pending.map(\.key).sorted() == ["run=1/a", "run=1/b c=ü"])
            // moto gives every upload the same date.
            if kind != .moto { #expect(pending.allSatisfy { abs($0.startedAt.timeIntervalSinceNow) < 300 }) }
            for upload in pending {
                try await store.abort(upload)
                try await store.abort(upload)
            }
            #expect(try await store.pendingUploads(prefix: "").map(\.key) == ["run=2/a"])
        }
    }

    @Test(arguments: stores)
    func `an upload to a key that is taken is settled by its content`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = Self.content(Self.pieceBytes + 100)
            let first = try await Self.upload(bytes, to: "part", in: store, options: Self.ifAbsent)
            let again = try await Self.upload(bytes, to: "part", in: store, options: Self.ifAbsent)
            #expect(again.etag == first.etag)
            #expect(again.sha256 == first.sha256)
            var other = bytes
            other[17] ^= 1
            for wrong in [other, Array(bytes.dropLast()), [1]] {
                await expect(.preconditionFailed) {
                    _ = try await Self.upload(wrong, to: "part", in: store, options: Self.ifAbsent)
                }
            }
            let head = try #require(try await store.head("part"))
            #expect(try await store.sha256(of: head, using: ByteBuffer(capacity: 1 << 20)) == first.sha256)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
        }
    }

    @Test(arguments: stores)
    func `an upload of one request and one of many compare by their bytes`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = Self.content(Self.pieceBytes + 100)
            let whole = try await store.put("part", bytes: bytes, options: Self.ifAbsent)
            let pieces = try await Self.upload(bytes, to: "part", in: store, options: Self.ifAbsent)
            #expect(pieces.etag == whole.etag)
            _ = try await Self.upload(bytes, to: "other", in: store, options: Self.ifAbsent)
            #expect(try await store.put("other", bytes: bytes, options: Self.ifAbsent).sha256 == whole.sha256)
        }
    }

    @Test(arguments: stores)
    func `an upload that was counted wrongly is refused`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let piece = ByteBuffer(Self.content(Self.pieceBytes))
            let upload = try await store.beginUpload("part", pieceBytes: Self.pieceBytes, options: Self.csv)
            try await upload.write(piece, number: 1)
            await expect(.integrity) {
                _ = try await upload.finish(last: nil, size: piece.count + 1, sha256: SHA256.hash(piece.bytes))
            }
            try await upload.abort()

            let holed = try await store.beginUpload("part", pieceBytes: Self.pieceBytes, options: Self.csv)
            try await holed.write(piece, number: 2)
            await expect(.integrity) {
                _ = try await holed.finish(last: nil, size: piece.count, sha256: SHA256.hash(piece.bytes))
            }
            try await holed.abort()

            let small = try await store.beginUpload("part", pieceBytes: Self.pieceBytes, options: Self.csv)
            await expect(.integrity) {
                _ = try await small.finish(last: ByteBuffer([1]), size: 1, sha256: SHA256.hash([2]))
            }
            try await small.abort()
            #expect(try await store.head("part") == nil)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
        }
    }

    @Test(arguments: stores)
    func `a cancelled task writes nothing`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let task = Task<Void, any Error> {
                withUnsafeCurrentTask { $0?.cancel() }
                _ = try await store.put("a", bytes: [1], options: Self.csv)
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            let written = try await store.head("a")
            #expect(written == nil)
        }
    }

    // moto answers 500 where S3 says NoSuchUpload.
    @Test(arguments: stores.filter { $0 != .moto })
    func `an upload that is ended from outside can be tried again`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = Self.content(2 * Self.pieceBytes)
            let pieces = [bytes[..<Self.pieceBytes], bytes[Self.pieceBytes...]].map { ByteBuffer(Array($0)) }
            for sentPieces in 1...2 {
                let upload = try await store.beginUpload("part", pieceBytes: Self.pieceBytes, options: Self.ifAbsent)
                for number in 1...sentPieces { try await upload.write(pieces[number - 1], number: number) }
                // As a lifecycle rule does, or `clean`.
                let pending = try #require(try await store.pendingUploads(prefix: "part").first)
                try await store.abort(pending)
                let error = await expect(.conflict) {
                    if sentPieces == 1 { try await upload.write(pieces[1], number: 2) }
                    _ = try await upload.finish(last: nil, size: bytes.count, sha256: SHA256.hash(bytes))
                }
                #expect(error?.isRetryable == true)
                try await upload.abort()
            }
            #expect(try await store.head("part") == nil)
            let info = try await Self.upload(bytes, to: "part", in: store, options: Self.ifAbsent)
            #expect(info.size == bytes.count)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
        }
    }
}

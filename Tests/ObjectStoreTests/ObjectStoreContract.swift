import Bytes
import Foundation
import ObjectStore
import TestSupport
import Testing

/// The contract of `ObjectStore`, run on every store that can be had.
@Suite(.timeLimit(.minutes(5))) struct ObjectStoreContract {
    static let stores = TestObjectStore.available
    static let csv = WriteOptions(contentType: "text/csv")
    static let ifAbsent = WriteOptions(contentType: "text/csv", condition: .ifAbsent)
    /// S3's smallest piece.
    static let pieceBytes = 5 * 1024 * 1024
    /// What a signer or a path may stumble over.
    static let hardKey = "billing/a b/dt=2026-01-01/x:y+z%2F~ü🙂&?#[]'(1)!*@,;$.csv"

    /// What would lead elsewhere if anybody decoded it once more than it was encoded.
    static let encodedDots = "%2e%2e/a/%2E%2E/%2e%2e%2fb"

    /// An accent that Swift takes for a part of the slash before it.
    static let accentKey = "a/\u{301}b/\u{301}"

    @Test(.enabled(if: stores.count == 3 || TestObjectStore.runs(.s3), TestObjectStore.reason))
    func `all stores are tested`() {
        #expect(Set(Self.stores) == Set(TestObjectStore.Kind.allCases))
    }

    // MARK: whole objects

    @Test(
        arguments: stores, ["part.csv", hardKey, accentKey, encodedDots, String(repeating: "k/", count: 450) + "end"])
    func `what is put is what is got`(kind: TestObjectStore.Kind, key: String) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = Array("id;name\n1;\u{e9}\n".utf8)
            let put = try await store.put(key, bytes: bytes, options: Self.csv)
            #expect(put.key == key)
            #expect(put.size == bytes.count)
            #expect(put.sha256 == SHA256.hash(bytes))
            let head = try #require(try await store.head(key))
            #expect(head.size == bytes.count)
            #expect(head.etag == put.etag && head.etag != nil)
            #expect(head.sha256 == nil || head.sha256 == put.sha256)
            let got = try #require(try await store.get(key, limit: 1000))
            #expect(got.bytes == bytes)
            #expect(got.info.etag == put.etag)
            #expect(try await store.list(prefix: "").map(\.key) == [key])
            try await store.delete(key)
            #expect(try await store.head(key) == nil)
        }
    }

    @Test(arguments: stores)
    func `an object may be empty`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let put = try await store.put("_SUCCESS", bytes: [], options: Self.csv)
            #expect(put.sha256 == SHA256.hash(""))
            let got = try #require(try await store.get("_SUCCESS", limit: 0))
            #expect(got.bytes == [])
            let buffer = ByteBuffer([1])
            try await store.read(put, at: 0, into: buffer)
            #expect(buffer.count == 0)
        }
    }

    @Test(arguments: stores)
    func `a put replaces what is there`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let first = try await store.put("latest.json", bytes: [1, 2, 3], options: Self.csv)
            let second = try await store.put("latest.json", bytes: [4], options: Self.csv)
            #expect(first.etag != second.etag)
            #expect(try await store.get("latest.json", limit: 10)?.bytes == [4])
        }
    }

    @Test(arguments: stores)
    func `nothing is there before it is written`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            #expect(try await store.head("a/b") == nil)
            #expect(try await store.get("a/b", limit: 10) == nil)
            #expect(try await store.list(prefix: "a").isEmpty)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
            try await store.delete("a/b")
            let gone = ObjectInfo(key: "a/b", size: 3, etag: "\"1\"")
            await expect(.preconditionFailed) {
                try await store.read(gone, at: 0, into: ByteBuffer(capacity: 3))
            }
        }
    }

    @Test(arguments: stores)
    func `get takes what its limit allows`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = [UInt8](repeating: 7, count: 100_000)
            _ = try await store.put("object", bytes: bytes, options: Self.csv)
            #expect(try await store.get("object", limit: 100_000)?.bytes == bytes)
            await expect(.tooLarge) {
                _ = try await store.get("object", limit: 99_999)
            }
        }
    }

    @Test(arguments: stores)
    func `ranges make up the whole`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let bytes = (0..<10_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let object = try await store.put("object", bytes: bytes, options: Self.csv)
            let buffer = ByteBuffer(capacity: 1000)
            var read: [UInt8] = []
            repeat {
                try await store.read(object, at: read.count, into: buffer)
                read += buffer.bytes
            } while buffer.count == 1000
            #expect(read == bytes)
            try await store.read(object, at: 20_000, into: buffer)
            #expect(buffer.count == 0)
            #expect(try await store.sha256(of: object, using: buffer) == SHA256.hash(bytes))

            _ = try await store.put("object", bytes: bytes + [0], options: Self.csv)
            await expect(.preconditionFailed) {
                try await store.read(object, at: 0, into: buffer)
            }
        }
    }

    // MARK: conditions

    @Test(arguments: stores)
    func `a key is taken once`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let first = try await store.put("part", bytes: [1], options: Self.ifAbsent)
            await expect(.preconditionFailed) {
                _ = try await store.put("part", bytes: [2], options: Self.ifAbsent)
            }
            // The same bytes again: the answer to the first try may have been lost.
            let again = try await store.put("part", bytes: [1], options: Self.ifAbsent)
            #expect(again.etag == first.etag)
            #expect(again.sha256 == first.sha256)
            #expect(try await store.get("part", limit: 10)?.bytes == [1])
        }
    }

    @Test(arguments: stores)
    func `of many writers of a free key one wins`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let winners: [UInt8] = await withTaskGroup(of: UInt8?.self) { group in
                for writer in UInt8(0)..<8 {
                    group.addTask {
                        let written = try? await store.put("part", bytes: [writer], options: Self.ifAbsent)
                        return written == nil ? nil : writer
                    }
                }
                return await group.reduce(into: []) { if let winner = $1 { $0.append(winner) } }
            }
            // moto serves requests side by side without a lock of its own.
            if kind != .moto { #expect(winners.count == 1) }
            let written = try #require(try await store.get("part", limit: 1))
            #expect(winners.contains { [$0] == written.bytes })
        }
    }

    @Test(arguments: stores)
    func `an object is replaced only as it was seen`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            func put(_ bytes: [UInt8], ifMatch etag: String) async throws -> ObjectInfo {
                let options = WriteOptions(contentType: "text/csv", condition: .ifMatch(etag))
                return try await store.put("latest.json", bytes: bytes, options: options)
            }
            let first = try await store.put("latest.json", bytes: [1], options: Self.csv)
            let etag = try #require(first.etag)
            let second = try await put([2], ifMatch: etag)
            await expect(.preconditionFailed) { _ = try await put([3], ifMatch: etag) }
            // The answer to the second was lost; it is sent again.
            #expect(try await put([2], ifMatch: etag).etag == second.etag)
            #expect(try await store.get("latest.json", limit: 1)?.bytes == [2])
            try await store.delete("latest.json")
            let last = try #require(second.etag)
            await expect(.preconditionFailed) { _ = try await put([4], ifMatch: last) }
            #expect(try await store.head("latest.json") == nil)
        }
    }

    // MARK: lists

    @Test(arguments: stores)
    func `a list has what begins with the prefix, in order`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            let keys = ["a/b-", "a/bc/d", "a/b/c/d", "a b/x", "a/z=1/ü", "ab", "b/1", "b/10", "b/2"]
            for key in keys { _ = try await store.put(key, bytes: Array(key.utf8), options: Self.csv) }
            let all = try await store.list(prefix: "")
            #expect(all.map(\.key) == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            #expect(all.allSatisfy { $0.size == $0.key.utf8.count && $0.etag != nil })
            #expect(try await store.list(prefix: "b/1").map(\.key) == ["b/1", "b/10"])
            #expect(try await store.list(prefix: "b/").map(\.key) == ["b/1", "b/10", "b/2"])
            #expect(try await store.list(prefix: "a/z=").map(\.key) == ["a/z=1/ü"])
            #expect(try await store.list(prefix: "a/bc/d/").isEmpty)
            #expect(try await store.list(prefix: "c").isEmpty)
        }
    }

    // moto takes ten seconds for so many.
    @Test(arguments: stores.filter { $0 != .moto })
    func `a list is longer than a page`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            // S3 gives a thousand at a time.
            let keys = (0..<1001).map { "page/\(10_000 + $0)=+ü" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for key in keys { group.addTask { _ = try await store.put(key, bytes: [1], options: Self.csv) } }
                try await group.waitForAll()
            }
            #expect(try await store.list(prefix: "page/").map(\.key) == keys)
        }
    }

    // MARK: keys

    static let wrongKeys = [
        "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", "a\nb", "a\u{0}b", "a\u{7f}", "a\u{85}b",
        String(repeating: "k", count: 1025),
    ]

    @Test(arguments: stores, wrongKeys)
    func `a wrong key is refused before anything happens`(kind: TestObjectStore.Kind, key: String) async throws {
        try await TestObjectStore.with(kind) { store in
            func expectRefusal(
                sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
            ) async {
                await expect(.invalidKey, body, sourceLocation: sourceLocation)
            }
            await expectRefusal { _ = try await store.put(key, bytes: [1], options: Self.csv) }
            await expectRefusal { _ = try await store.head(key) }
            await expectRefusal { _ = try await store.get(key, limit: 1) }
            await expectRefusal { try await store.delete(key) }
            await expectRefusal { _ = try await store.beginUpload(key, pieceBytes: 1, options: Self.csv) }
            await expectRefusal { try await store.abort(PendingUpload(key: key, id: "x", startedAt: Date())) }
            let object = ObjectInfo(key: key, size: 1)
            await expectRefusal { try await store.read(object, at: 0, into: ByteBuffer(capacity: 1)) }
            if !key.isEmpty, key != "a/" {
                await expectRefusal { _ = try await store.list(prefix: key) }
                await expectRefusal { _ = try await store.pendingUploads(prefix: key) }
            }
        }
    }

    @Test(arguments: stores)
    func `an address leads back to its key`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in
            for key in ["a", "a/b.csv", Self.hardKey, Self.accentKey, Self.encodedDots, "\u{301}a"] {
                #expect(store.key(forURI: store.uri(forKey: key)) == key)
            }
            #expect(store.uri(forKey: "a/dt=1/b.csv").hasSuffix("/a/dt=1/b.csv"))
            #expect(store.key(forURI: store.uri(forKey: "a") + "/../b") == nil)
            // A file's address is decoded; a bucket's has no encoding, so these are names like others.
            let encoded = store.key(forURI: store.uri(forKey: "a") + "/%2e%2e/%2e%2e%2fb")
            #expect(encoded == (kind == .files ? nil : "a/%2e%2e/%2e%2e%2fb"))
            #expect(store.key(forURI: "s3://another/a") == nil)
            #expect(store.key(forURI: "file:///nowhere/a") == nil)
            #expect(store.key(forURI: store.uri(forKey: "")) == nil)
        }
    }

    @Test(arguments: stores)
    func `a place that is there passes the check`(kind: TestObjectStore.Kind) async throws {
        try await TestObjectStore.with(kind) { store in try await store.check() }
    }
}

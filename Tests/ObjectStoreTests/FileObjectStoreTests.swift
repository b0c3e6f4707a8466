import Bytes
import Foundation
import TestSupport
import Testing

@testable import ObjectStore

/// What only directories have.
@Suite struct FileObjectStoreTests {
    private static let csv = WriteOptions(contentType: "text/csv")

    @Test func `an object is a file of its name`() async throws {
        let place = try TestObjectStore(.files)
        let store = try place.open()
        _ = try await store.put("a/dt=2026-01-01/b c.csv", bytes: [1, 2], options: Self.csv)
        #expect(
            try Data(contentsOf: URL(fileURLWithPath: "\(place.directory)/a/dt=2026-01-01/b c.csv")) == Data([1, 2]))
        #expect(store.uri(forKey: "a/dt=2026-01-01/b c.csv") == "file://\(place.directory)/a/dt=2026-01-01/b%20c.csv")
        try await place.remove()
    }

    @Test func `a directory that is removed with its last object leaves its neighbours`() async throws {
        let place = try TestObjectStore(.files)
        let store = try place.open()
        for key in ["a/b/c/1", "a/2"] { _ = try await store.put(key, bytes: [1], options: Self.csv) }
        try await store.delete("a/b/c/1")
        #expect(!FileManager.default.fileExists(atPath: "\(place.directory)/a/b"))
        #expect(FileManager.default.fileExists(atPath: "\(place.directory)/a/2"))
        try await store.delete("a/2")
        #expect(FileManager.default.fileExists(atPath: place.directory))
        try await place.remove()
    }

    @Test func `a directory is no object`() async throws {
        try await TestObjectStore.with(.files) { store in
            _ = try await store.put("a/b", bytes: [1], options: Self.csv)
            #expect(try await store.head("a") == nil)
            #expect(try await store.get("a", limit: 10) == nil)
            try await store.delete("a")
            #expect(try await store.head("a/b") != nil)
            let error = await expect(.fileSystem) { _ = try await store.put("a", bytes: [1], options: Self.csv) }
            #expect(error?.systemError == EISDIR)
            #expect(try await store.pendingUploads(prefix: "").isEmpty)
        }
    }

    @Test(arguments: [".bda-lock", "a/.bda-upload-1", "a/.bda-x/b", String(repeating: "n", count: 201)])
    func `names that are ours or too long are refused`(key: String) async throws {
        try await TestObjectStore.with(.files) { store in
            await expect(.invalidKey) { _ = try await store.put(key, bytes: [1], options: Self.csv) }
        }
    }

    @Test func `a hidden name is the only thing that abort removes`() async throws {
        try await TestObjectStore.with(.files) { store in
            _ = try await store.put("a/b", bytes: [1], options: Self.csv)
            for id in ["b", "../a/b", ".bda-lock", ".bda-upload-0123456789abcdef-/../b", ".bda-upload-x-b", ""] {
                let upload = PendingUpload(key: "a/b", id: id, startedAt: Date())
                await expect(.invalidKey) { try await store.abort(upload) }
            }
            #expect(try await store.head("a/b") != nil)
        }
    }

    @Test func `a place that is not there is named`() async throws {
        let store = try FileObjectStore(directory: "/nowhere/at all")
        let error = await expect(.noSuchPlace) { try await store.check() }
        #expect(error?.description == "unable to reach 'file:///nowhere/at%20all/': there is no such directory")
        #expect(error?.hint?.contains("BDA_OUTPUT") == true)
        await expect(.noSuchPlace) { _ = try await store.put("a/b", bytes: [1], options: Self.csv) }
        #expect(try await store.list(prefix: "").isEmpty)
        #expect(throws: ObjectStoreError.self) { _ = try FileObjectStore(directory: "relative") }
    }

    @Test(arguments: [
        (ENOSPC, ObjectStoreError.Kind.noSpace, true), (EDQUOT, .noSpace, true), (EACCES, .accessDenied, false),
        (EROFS, .accessDenied, false), (EMFILE, .fileSystem, true), (EIO, .fileSystem, false),
    ])
    func `faults of the file system have names`(code: Int32, kind: ObjectStoreError.Kind, isRetryable: Bool) {
        let error = ObjectStoreError(errno: code, "put", "file:///x")
        #expect(error.kind == kind)
        #expect(error.isRetryable == isRetryable)
        #expect(error.systemError == code)
    }

    @Test func `a lock that is held is waited for up to a limit`() async throws {
        let place = try TestObjectStore(.files)
        let path = "\(place.directory)/.bda-lock"
        let holder = try File(opening: path, flags: O_RDWR | O_CREAT, "put", "file:///x")
        try holder.lock()
        let second = try File(opening: path, flags: O_RDWR | O_CREAT, "put", "file:///x")
        let error = await expect(.conflict) { try second.lock(within: .milliseconds(20)) }
        #expect(error?.isRetryable == true)
        try await place.remove()
    }

    @Test func `two stores in one directory keep each other's conditions`() async throws {
        let place = try TestObjectStore(.files)
        let stores = try (0..<4).map { _ in try place.open() }
        var etag = try #require(try await stores[0].put("counter", bytes: [0], options: Self.csv).etag)
        for round in UInt8(1)...20 {
            let written: [ObjectInfo] = await withTaskGroup(of: ObjectInfo?.self) { group in
                for (index, store) in stores.enumerated() {
                    let options = WriteOptions(contentType: "text/csv", condition: .ifMatch(etag))
                    group.addTask { try? await store.put("counter", bytes: [round, UInt8(index)], options: options) }
                }
                return await group.reduce(into: []) { if let info = $1 { $0.append(info) } }
            }
            #expect(written.count == 1)
            etag = try #require(written.first?.etag)
        }
        try await place.remove()
    }

    @Test func `writers and removers of one directory do not meet in a fault`() async throws {
        try await TestObjectStore.with(.files) { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        for round in 0..<50 {
                            let key = "deep/er/\(writer)"
                            _ = try await store.put(key, bytes: [UInt8(round)], options: Self.csv)
                            try await store.delete(key)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.list(prefix: "").isEmpty)
        }
    }
}

import BlockingIO
import Foundation
import TestSupport
import Testing

@testable import ObjectStore

/// Credentials that expire or are replaced.
extension CredentialTests {
    @Test func `many askers cause one request`() async throws {
        let gate = Gate()
        let source = CountingSource { count in
            gate.wait()
            return try Credentials(accessKeyID: "ID\(count)", secretAccessKey: "s", source: "test")
        }
        let provider = CredentialProvider(sources: [source])
        let askers = (0..<50).map { _ in Task { try await provider.credentials().accessKeyID } }
        gate.open()
        for asker in askers { #expect(try await asker.value == "ID1") }
        #expect(try await provider.credentials().accessKeyID == "ID1")
        #expect(source.count == 1)
    }

    @Test func `an asker that gives up does not take the others with it`() async throws {
        let gate = Gate()
        let source = CountingSource { count in
            gate.wait()
            return try Credentials(accessKeyID: "ID\(count)", secretAccessKey: "s", source: "test")
        }
        let provider = CredentialProvider(sources: [source])
        let first = Task { try await provider.credentials() }
        await source.started()
        let second = Task { try await provider.credentials().accessKeyID }
        first.cancel()
        await #expect(throws: CancellationError.self) { _ = try await first.value }
        gate.open()
        #expect(try await second.value == "ID1")
    }

    @Test func `credentials are renewed fifteen minutes before they expire`() async throws {
        let clock = TestClock()
        let source = CountingSource { count in
            try Credentials(
                accessKeyID: "ID\(count)", secretAccessKey: "s", expiration: clock.now.addingTimeInterval(3600),
                source: "test")
        }
        let provider = CredentialProvider(sources: [source], now: { clock.now })
        #expect(try await provider.credentials().accessKeyID == "ID1")
        clock.advance(3600 - 15 * 60 - 1)
        #expect(try await provider.credentials().accessKeyID == "ID1")
        clock.advance(1)
        #expect(try await provider.credentials().accessKeyID == "ID2")
    }

    @Test func `a lifetime shorter than that is not asked for with every request`() async throws {
        let clock = TestClock()
        let source = CountingSource { count in
            try Credentials(
                accessKeyID: "ID\(count)", secretAccessKey: "s", expiration: clock.now.addingTimeInterval(900),
                source: "test")
        }
        let provider = CredentialProvider(sources: [source], now: { clock.now })
        for _ in 0..<5 { #expect(try await provider.credentials().accessKeyID == "ID1") }
        clock.advance(61)
        #expect(try await provider.credentials().accessKeyID == "ID2")
    }

    @Test func `a refresh that fails does no harm before the end`() async throws {
        let clock = TestClock()
        let source = CountingSource { count in
            if count > 1 { throw ObjectStoreError.credentials("test", "down") }
            return try Credentials(
                accessKeyID: "ID1", secretAccessKey: "s", expiration: clock.now.addingTimeInterval(3600), source: "test"
            )
        }
        let provider = CredentialProvider(sources: [source], now: { clock.now })
        _ = try await provider.credentials()
        clock.advance(3600 - 600)
        #expect(try await provider.credentials().accessKeyID == "ID1")
        #expect(try await provider.credentials().accessKeyID == "ID1")
        #expect(source.count == 2)
        clock.advance(61)
        #expect(try await provider.credentials().accessKeyID == "ID1")
        #expect(source.count == 3)
        clock.advance(600)
        await expect(.credentials) { _ = try await provider.credentials() }
    }

    @Test func `the source that had credentials stays the one`() async throws {
        let first = CountingSource {
            $0 == 1 ? nil : try Credentials(accessKeyID: "A", secretAccessKey: "s", source: "a")
        }
        let second = CountingSource { try Credentials(accessKeyID: "B\($0)", secretAccessKey: "s", source: "b") }
        let provider = CredentialProvider(sources: [first, second])
        let found = try await provider.credentials()
        #expect(found.accessKeyID == "B1")
        #expect(try await provider.replace(found))
        #expect(try await provider.credentials().accessKeyID == "B2")
        // Another request has replaced them since.
        #expect(try await provider.replace(found))
        #expect(try await provider.credentials().accessKeyID == "B2")
    }

    @Test(.enabled(if: TestObjectStore.runs(.s3), TestObjectStore.reason))
    func `a key that is replaced in its file opens the store`() async throws {
        let place = try TestObjectStore(.s3)
        let folder = try Folder()
        func profile(secret: String) -> String {
            "[default]\naws_access_key_id=\(place.environment["AWS_ACCESS_KEY_ID"]!)\naws_secret_access_key=\(secret)\n"
        }
        let file = try folder.write("credentials", profile(secret: "old"))
        let store = try place.open([
            "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": file,
            "AWS_CONFIG_FILE": "/nowhere",
        ])
        let csv = WriteOptions(contentType: "text/csv")
        let error = await expect(.credentials) { _ = try await store.put("a", bytes: [1], options: csv) }
        #expect(error?.s3Code == "SignatureDoesNotMatch")
        _ = try folder.write("credentials", profile(secret: place.environment["AWS_SECRET_ACCESS_KEY"]!))
        // The answer to a HEAD has no code that says why it is refused.
        #expect(try await store.head("a") == nil)
        _ = try await store.put("a", bytes: [1], options: csv)
        #expect(try await store.get("a", limit: 1)?.bytes == [1])
        try await place.remove()
    }

    @Test func `a source that fails after a refusal leaves the refusal as the error`() async throws {
        let source = CountingSource { count in
            if count > 1 { throw ObjectStoreError.credentials("test", "down") }
            return try Credentials(accessKeyID: "ID1", secretAccessKey: "s", source: "test")
        }
        let provider = CredentialProvider(sources: [source])
        let found = try await provider.credentials()
        #expect(try await provider.replace(found) == false)
        #expect(source.count == 2)
    }
}

private final class CountingSource: CredentialSource {
    let name = "test"
    private let counted = Mutex(0)
    private let body: @Sendable (Int) throws -> Credentials?
    private let (starts, start) = AsyncStream<Void>.makeStream()

    init(_ body: @escaping @Sendable (Int) throws -> Credentials?) { self.body = body }

    var count: Int { counted.withLock { $0 } }

    func started() async { for await _ in starts { return } }

    func load() async throws -> Credentials? {
        let count = counted.withLock { counted in
            counted += 1
            return counted
        }
        start.yield()
        return try body(count)
    }
}

private final class TestClock: Sendable {
    private let time = Mutex(Date(timeIntervalSince1970: 1_700_000_000))

    var now: Date { time.withLock { $0 } }
    func advance(_ seconds: TimeInterval) { time.withLock { $0 += seconds } }
}

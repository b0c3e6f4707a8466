import BlockingIO
import Bytes
import Foundation
import Postgres
import Settings
import TestSupport
import Testing

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(2)))
struct PostgresSessionTests {
    @Test func valuesAndNullsComeBackAsText() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            let result = try await session.query(
                "SELECT $1::int + 1 AS number, $2 AS text, $3::text AS nothing, 0.10 + 0.2 AS money",
                ["41", "Äpfel, \"quoted\"\n🌍", nil], action: "test")
            let record = try #require(result.records.first)
            #expect(try record.integer("number") == 42)
            #expect(try record.text("text") == "Äpfel, \"quoted\"\n🌍")
            #expect(record.optional("nothing") == nil)
            #expect(try record.text("money") == "0.30")
            await session.close()
        }
    }

    @Test func errorsKeepTheSQLStateAndSayWhatIsWorthRetrying() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            let missing = await #expect(throws: PostgresError.self) {
                try await session.execute("SELECT * FROM gone", action: "read what is gone")
            }
            #expect(missing?.sqlState == "42P01")
            #expect(missing?.isRetryable == false)
            #expect(missing?.description.contains("unable to read what is gone") == true)
            let serialization = await #expect(throws: PostgresError.self) {
                try await session.execute(
                    "DO $$ BEGIN RAISE 'no' USING ERRCODE = '40001'; END $$", action: "fail")
            }
            #expect(serialization?.isRetryable == true)
            await session.close()
            let closed = await #expect(throws: PostgresError.self) {
                try await session.execute("SELECT 1", action: "go on")
            }
            #expect(closed?.isConnectionLost == true)
        }
    }

    @Test func wrongPasswordAndWrongPortNameTheSettingAndTheAddressButNoSecret() async throws {
        try await TestPostgres.withDatabase { role, _ in
            var wrong = role
            wrong.password = Secret("hunter2-is-secret")
            let refused = await #expect(throws: PostgresError.self) {
                try await PostgresSession.connect(wrong, purpose: "test")
            }
            #expect(refused?.hint?.contains("BDA_DB_PASSWORD") == true)
            #expect(refused.map { "\($0)" }?.contains("hunter2") == false)
            wrong = role
            wrong.host = "127.0.0.1"
            wrong.port = 1
            let unreachable = await #expect(throws: PostgresError.self) {
                try await PostgresSession.connect(wrong, purpose: "test")
            }
            #expect(unreachable?.hint?.contains("BDA_DB_HOST and BDA_DB_PORT") == true)
            #expect(unreachable.map { "\($0)" }?.contains("127.0.0.1:1/") == true)
        }
    }

    /// The session that ends it is another one; the error is the server's.
    @Test func aTerminatedSessionIsALostConnection() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let victim = try await PostgresSession.connect(role, purpose: "test")
            let killer = try await PostgresSession.connect(role, purpose: "test")
            let backend = try await victim.backend()
            try await killer.execute("SELECT pg_terminate_backend(\(backend.pid))", action: "end the other session")
            let error = await #expect(throws: PostgresError.self) {
                try await victim.execute("SELECT pg_sleep(30)", action: "sleep")
            }
            #expect(error?.isRetryable == true)
            #expect(await victim.isConnected == false)
            await killer.close()
        }
    }

    /// The reset has arrived before the statement is sent: then sending fails, and libpq still calls the connection good.
    @Test func aStatementThatCannotBeSentIsALostConnection() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let proxy = try TCPProxy(to: role.port)
            var proxied = role
            proxied.host = "127.0.0.1"
            proxied.port = proxy.port
            let session = try await PostgresSession.connect(proxied, purpose: "test")
            proxy.close()
            let error = await #expect(throws: PostgresError.self) {
                try await session.execute("SELECT 1", action: "ask")
            }
            #expect(error?.isConnectionLost == true)
            #expect(error?.isRetryable == true)
            await session.close()
        }
    }

    @Test func cancelEndsARunningStatement() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            // The statement may not have begun yet: a cancellation that finds nothing to cancel is lost.
            let canceller = Task {
                while !Task.isCancelled {
                    session.cancel()
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            let error = await #expect(throws: PostgresError.self) {
                try await session.execute("SELECT pg_sleep(60)", action: "sleep")
            }
            canceller.cancel()
            #expect(error?.isCancelled == true)
        }
    }

    @Test func aStatementBeyondItsLimitIsCancelledAndTheSessionGoesOn() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            let start = ContinuousClock.now
            let error = await #expect(throws: PostgresError.self) {
                try await session.execute("SELECT pg_sleep(60)", within: .seconds(1), action: "sleep")
            }
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(error?.isCancelled == true && error?.isRetryable == true)
            #expect(error?.description.contains("unable to sleep at \(role.address)") == true)
            #expect(error?.description.contains("1.0 seconds") == true)
            #expect(try await session.execute("SELECT 1", action: "go on").firstValue == "1")
        }
    }

    @Test func aWaitForALockBeyondTheLimitIsCancelled() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let holder = try await PostgresSession.connect(role, purpose: "test holder")
            let waiter = try await PostgresSession.connect(role, purpose: "test")
            try await holder.execute("SELECT pg_advisory_lock(4711)", action: "lock")
            let error = await #expect(throws: PostgresError.self) {
                try await waiter.query("SELECT pg_advisory_lock($1)", ["4711"], within: .seconds(1), action: "lock")
            }
            #expect(error?.isCancelled == true && error?.hint?.contains("pg_locks") == true)
            await holder.close()
        }
    }

    /// The network swallows everything, the request to cancel included: only the session's own clock is left.
    @Test(arguments: [true, false])
    func aSilentNetworkEndsAStatementAtItsLimit(cancelledByItsOwner: Bool) async throws {
        try await TestPostgres.withDatabase { role, _ in
            let proxy = try TCPProxy(to: role.port)
            defer { proxy.close() }
            var proxied = role
            (proxied.host, proxied.port) = ("127.0.0.1", proxy.port)
            let session = try await PostgresSession.connect(proxied, purpose: "test")
            proxy.set(.silent)
            let start = ContinuousClock.now
            if cancelledByItsOwner {
                let running = Task {
                    try await session.execute("SELECT 1", within: nil, action: "ask")
                }
                // A request before the statement has begun does not count, so it is repeated, as by a worker.
                let owner = Task {
                    while !Task.isCancelled {
                        session.cancel()
                        try? await Task.sleep(for: .milliseconds(100))
                    }
                }
                let result = await running.result
                owner.cancel()
                let error = #expect(throws: PostgresError.self) { _ = try result.get() }
                #expect(error?.isConnectionLost == true)
            } else {
                let error = await #expect(throws: PostgresError.self) {
                    try await session.query("SELECT $1", ["x"], within: .seconds(1), action: "ask")
                }
                #expect(error?.isConnectionLost == true && error?.isRetryable == true)
                #expect(error?.description.contains(proxied.address) == true)
            }
            let closed = ContinuousClock.now
            #expect(closed - start < .seconds(12))
            await session.close()
            #expect(ContinuousClock.now - closed < .seconds(1))
        }
    }

    /// The server's rows stop in the middle; the owner's cancellation ends the COPY all the same.
    @Test func aSilentNetworkEndsACopyAfterItsCancellation() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let proxy = try TCPProxy(to: role.port)
            defer { proxy.close() }
            var proxied = role
            (proxied.host, proxied.port) = ("127.0.0.1", proxy.port)
            let session = try await PostgresSession.connect(proxied, purpose: "test")
            try await session.beginCopy(
                of: "SELECT n, repeat('x', 1000) FROM generate_series(1, 1000000) AS n", maximumRowsPerFile: 1_000_000,
                observer: RowRecorder(), action: "copy")
            let buffer = ByteBuffer(capacity: 1 << 16)
            #expect(try await session.readCopy(into: buffer) == .bufferFull)
            proxy.set(.silent)
            session.cancel()
            let error = await #expect(throws: PostgresError.self) {
                while true {
                    buffer.removeAll()
                    _ = try await session.readCopy(into: buffer)
                }
            }
            #expect(error?.isConnectionLost == true)
        }
    }

    @Test func aViolatedConstraintIsNamed() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            try await session.execute(
                "CREATE SCHEMA s; CREATE TABLE s.t (n int CONSTRAINT t_n UNIQUE)", action: "make a table")
            let error = await #expect(throws: PostgresError.self) {
                try await session.execute("INSERT INTO s.t VALUES (1), (1)", action: "insert")
            }
            #expect(error?.constraint == "t_n" && error?.schema == "s" && error?.isUniqueViolation == true)
        }
    }

    /// What has broken out of quotes somewhere, and mixtures of it, the same in each run.
    private static let nastyTexts: [String] = {
        let pieces = [
            "'", "''", "\"", "\"\"", "\\", "\\'", "\\\"", "'; DROP SCHEMA bda CASCADE; --", "/*", "*/", "--", "$$",
            "$a$", "E'",
            "U&'\\0027'", "\n", "\r", "\t", "\u{1}", "\u{7f}", "%s", "%I", "%%", ":x", ":'x'", "{}", "NULL", "ä",
            "\u{301}",
            "'\u{301}", "\"\u{301}", "\\\u{301}", "'\u{200d}", "\"\u{fe0f}", "\u{2019}", "\u{ff07}", "\u{feff}", "🌍",
            " ",
        ]
        var state: UInt64 = 4711
        func next(below limit: Int) -> Int {
            // Knuth's MMIX generator: plain, and the same everywhere.
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let mixtures = (0..<200).map { _ in
            (0...next(below: 6)).map { _ in pieces[next(below: pieces.count)] }.joined()
        }
        return ["", "plain"] + pieces + mixtures
    }()

    @Test func quotingIsWhatTheServerQuotes() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            for text in Self.nastyTexts {
                let literal = try await session.execute("SELECT \(SQL.literal(text))", action: "read a literal")
                #expect(literal.firstValue.map { Array($0.utf8) } == Array(text.utf8))
                if !text.isEmpty {
                    let column = try await session.execute(
                        "SELECT 1 AS \(SQL.identifier(text))", action: "name a column")
                    // The server cuts names at 63 bytes; what is left must be the text's own beginning.
                    let name = try #require(column.columns.first)
                    #expect(text.utf8.starts(with: name.utf8) && name.utf8.count >= min(text.utf8.count, 60))
                }
            }
            let texts = Self.nastyTexts + ["a,b", "{c}"]
            let array = try await session.query(
                "SELECT unnest($1::text[])", [SQL.array(texts)], action: "read an array")
            #expect(array.rows.map { Array(($0[0] ?? "").utf8) } == texts.map { Array($0.utf8) })
        }
    }

    @Test func anEnvironmentCannotChangeTheSession() async throws {
        try await TestPostgres.withDatabase { role, administrator in
            let setup = try await PostgresSession.connect(administrator, purpose: "test")
            try await setup.execute(
                """
                ALTER DATABASE \(SQL.identifier(role.database)) SET DateStyle = 'German';
                ALTER DATABASE \(SQL.identifier(role.database)) SET TimeZone = 'Asia/Tokyo';
                ALTER DATABASE \(SQL.identifier(role.database)) SET extra_float_digits = -5
                """, action: "set the database up")
            let session = try await PostgresSession.connect(role, purpose: "test")
            let result = try await session.execute(
                "SELECT timestamptz '2026-03-29 02:30+00', date '2026-03-29', 0.1::float8 + 0.2, interval '1 day 2 h'",
                action: "write values")
            #expect(result.rows == [["2026-03-29 02:30:00+00", "2026-03-29", "0.30000000000000004", "P1DT2H"]])
        }
    }

    @Test func describeNamesColumnsAndTypes() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let session = try await PostgresSession.connect(role, purpose: "test")
            let columns = try await session.describe(
                "SELECT 1::numeric(14,2) AS amount, 'x'::varchar(3) AS code, now() AS at", action: "describe")
            #expect(columns.map(\.name) == ["amount", "code", "at"])
            #expect(columns.map(\.type) == ["numeric(14,2)", "character varying(3)", "timestamp with time zone"])
        }
    }
}

/// Counts and remembers rows.
private final class RowRecorder: CopyRowObserver {
    private let seen = Mutex<[String]>([])
    let failsAt: Int?
    struct Stopped: Error {}

    init(failsAt: Int? = nil) { self.failsAt = failsAt }

    var rows: [String] { seen.withLock { $0 } }

    func observe(row: UnsafeRawBufferPointer) throws {
        let count = seen.withLock { rows in
            rows.append(String(decoding: row, as: UTF8.self))
            return rows.count
        }
        if count == failsAt { throw Stopped() }
    }
}

@Suite(.enabled(if: TestPostgres.isAvailable, "needs PostgreSQL: run scripts/dev/test.sh"), .timeLimit(.minutes(2)))
struct CopyTests {
    /// Reads a COPY to its end through buffers of the given size; returns its files and the confirmed rows.
    private func copy(
        _ query: String, bufferBytes: Int, rowsPerFile: Int, observer: RowRecorder = RowRecorder(),
        with role: PostgresConfiguration
    ) async throws -> (files: [String], rows: Int) {
        let session = try await PostgresSession.connect(role, purpose: "test")
        try await session.beginCopy(of: query, maximumRowsPerFile: rowsPerFile, observer: observer, action: "copy")
        let buffer = ByteBuffer(capacity: bufferBytes)
        var files: [[UInt8]] = [[]]
        while true {
            buffer.removeAll()
            let progress = try await session.readCopy(into: buffer)
            files[files.count - 1] += Array(buffer.bytes)
            switch progress {
            case .bufferFull: continue
            case .fileFull: files.append([])
            case .finished(let rows):
                await session.close()
                return (files.map { String(decoding: $0, as: UTF8.self) }, rows)
            }
        }
    }

    @Test(arguments: [16, 17, 31, 64, 1 << 20], [1, 3, 10, 1000])
    func filesAreTheSameWhateverTheBuffers(bufferBytes: Int, rowsPerFile: Int) async throws {
        try await TestPostgres.withDatabase { role, _ in
            let query = "SELECT n, repeat('x', n % 40) AS pad FROM generate_series(1, 10) AS n ORDER BY n"
            let observer = RowRecorder()
            let (files, rows) = try await copy(
                query, bufferBytes: bufferBytes, rowsPerFile: rowsPerFile, observer: observer, with: role)
            #expect(rows == 10)
            let expected = (1...10).map { "\($0),\(String(repeating: "x", count: $0))\n" }
            #expect(observer.rows == expected)
            #expect(files.count == (10 + rowsPerFile - 1) / rowsPerFile)
            #expect(files.allSatisfy { $0.hasPrefix("n,pad\n") })
            #expect(files.map { $0.dropFirst(6) }.joined() == expected.joined())
        }
    }

    @Test func noRowsGiveAHeader() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let (files, rows) = try await copy(
                "SELECT 1 AS a, 2 AS b WHERE false", bufferBytes: 100, rowsPerFile: 10, with: role)
            #expect(files == ["a,b\n"])
            #expect(rows == 0)
        }
    }

    @Test func textComesOutAsPostgreSQLWritesIt() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let (files, _) = try await copy(
                "SELECT 'say \"hi\"' AS a, 'x,y' AS b, E'two\\nlines' AS c, 'Müller 🌍' AS d, '' AS e, NULL::text AS f",
                bufferBytes: 1000, rowsPerFile: 10, with: role)
            #expect(files == ["a,b,c,d,e,f\n\"say \"\"hi\"\"\",\"x,y\",\"two\nlines\",Müller 🌍,\"\",\n"])
        }
    }

    /// The rows before the failure were good; the end of the data is still no success.
    @Test func aCopyThatFailsHalfWayIsAnError() async throws {
        try await TestPostgres.withDatabase { role, _ in
            let error = await #expect(throws: PostgresError.self) {
                _ = try await copy(
                    "SELECT 100000 / (50000 - n) AS x FROM generate_series(1, 100000) AS n", bufferBytes: 1 << 16,
                    rowsPerFile: 1_000_000, with: role)
            }
            #expect(error?.sqlState == "22012")
        }
    }

    @Test func anObserverCanStopTheCopy() async throws {
        try await TestPostgres.withDatabase { role, _ in
            await #expect(throws: RowRecorder.Stopped.self) {
                _ = try await copy(
                    "SELECT n FROM generate_series(1, 100000) AS n", bufferBytes: 1 << 16, rowsPerFile: 1_000_000,
                    observer: RowRecorder(failsAt: 5), with: role)
            }
        }
    }
}

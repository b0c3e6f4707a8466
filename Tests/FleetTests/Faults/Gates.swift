import Postgres

/// A superuser's look into a scenario's database, connected anew when the server was restarted.
actor Observer {
    private let configuration: PostgresConfiguration
    private var session: PostgresSession?

    init(_ configuration: PostgresConfiguration) { self.configuration = configuration }

    /// The rows of a query. A server that is down is waited for, half a minute at most.
    func rows(_ sql: String) async throws -> [[String?]] {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                let current = try await connected()
                return try await current.execute(sql, action: "look").rows
            } catch let error as PostgresError where error.isConnectionLost || error.isRetryable {
                session = nil
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func connected() async throws -> PostgresSession {
        if let session { return session }
        let new = try await PostgresSession.connect(configuration, purpose: "observer")
        // Another call may have been faster.
        if let session {
            await new.close()
            return session
        }
        session = new
        return new
    }

    /// The first value of a query.
    func value(_ sql: String) async throws -> String? { try await rows(sql).first?.first ?? nil }

    /// Whether a condition holds.
    func says(_ condition: String) async throws -> Bool { try await value("SELECT (\(condition))") == "t" }

    func close() async { await session?.close() }
}

/// The locks that make a run stand still at moments.
actor Gates {
    private let configuration: PostgresConfiguration
    private var session: PostgresSession?
    private var closed: Set<Moment> = []

    init(_ configuration: PostgresConfiguration) { self.configuration = configuration }

    /// Closes the gates of moments.
    func close(_ moments: Set<Moment>) async throws {
        closed.formUnion(moments)
        try await lock()
    }

    /// Opens one gate.
    func open(_ moment: Moment) async throws {
        closed.remove(moment)
        if let session, await session.isConnected {
            // A session that was lost holds nothing.
            _ = try? await session.execute("SELECT pg_advisory_unlock(\(moment.lock))", action: "open a gate")
        }
    }

    /// After a restart of the server, whose locks are gone: closes what was closed.
    func closeAgain() async throws {
        await session?.close()
        session = nil
        try await lock()
    }

    /// Opens all.
    func end() async {
        await session?.close()
        session = nil
    }

    private func lock() async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                if session == nil {
                    session = try await PostgresSession.connect(configuration, purpose: "gates")
                }
                for moment in closed.sorted() {
                    // A run that has come past the gate may hold it; then it was not closed in time.
                    try await session!.execute("SELECT pg_try_advisory_lock(\(moment.lock))", action: "close a gate")
                }
                return
            } catch let error as PostgresError where error.isConnectionLost || error.isRetryable {
                await session?.close()
                session = nil
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}

import CommandLineOptions
import JobModel
import Ledger
import Postgres

/// The advisory lock that admits one coordinator per date. The lock ends with the ledger's session and is taken again
/// on every new session, so a coordinator that lost its session continues only if no other coordinator has taken the
/// lock meanwhile. The owner number in the run's row rejects late writes of an earlier owner.
///
/// The coordinator's other writing sessions hold a second, shared lock, so that a takeover of a frozen coordinator ends
/// all of its transactions and waits for none of them.
struct DateLock: Sendable {
    let clientID: String
    let environment: String
    let businessDate: BusinessDate

    /// Takes the lock on a session. Throws an error that names the holder if another session holds the lock.
    func take(on session: PostgresSession) async throws {
        guard try await isTaken(on: session) else { throw try await held(session) }
    }

    /// Takes the shared lock on another session of the coordinator that holds the date.
    func join(_ session: PostgresSession) async throws {
        try await session.execute(
            "SELECT pg_catalog.pg_advisory_lock_shared(\(memberKey))", action: "take the shared lock of the date")
    }

    /// Ends the sessions of the coordinator that holds the lock, and waits until they have ended.
    func endHolder(on session: PostgresSession) async throws {
        for holder in try await holders(of: key, on: session) + holders(of: memberKey, on: session) {
            try await session.query(
                "SELECT pg_catalog.pg_terminate_backend($1::int, 10000)", ["\(holder.pid)"],
                action: "end a session of the other coordinator")
        }
    }

    private var key: String {
        RunStore.dateLockKey(clientID: clientID, environment: environment, businessDate: businessDate)
    }

    private var memberKey: String { "(\(key) # 1)" }

    private func isTaken(on session: PostgresSession) async throws -> Bool {
        try await session.execute("SELECT pg_catalog.pg_try_advisory_lock(\(key))", action: "lock the date").firstValue
            == "t"
    }

    private func holders(
        of key: String, on session: PostgresSession
    ) async throws -> [(pid: Int, since: String, address: String)] {
        try await session.execute(
            """
            SELECT a.pid, to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since,
                   COALESCE(host(a.client_addr), 'a local socket') AS address
            FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
              AND (l.classid::bigint << 32 | l.objid::bigint) = \(key) AND a.pid <> pg_catalog.pg_backend_pid()
            """, action: "look up the holder of the date"
        ).records.map { (try $0.integer("pid"), try $0.text("since"), try $0.text("address")) }
    }

    private func held(_ session: PostgresSession) async throws -> RunFailure {
        let holders = try await holders(of: key, on: session)
        let descriptions = holders.map {
            "a coordinator at \($0.address), database session \($0.pid), connected since \($0.since) UTC"
        }
        return RunFailure(
            .dateHeld,
            "\(businessDate) of \(clientID)/\(environment) is held by \(descriptions.first ?? "another coordinator")",
            hint: "wait until it has ended, or use --takeover if it is frozen; 'bda-coordinator status' shows the run")
    }
}

import JobModel
package import Ledger
package import Postgres

/// The transaction of one attempt, on the session that does its work.
package enum WorkTransaction {
    /// The run's snapshot cannot be imported: no session holds it any more.
    package struct SnapshotLost: Error, CustomStringConvertible, Sendable {
        package let description: String
    }

    package enum Isolation: String, Sendable {
        /// All statements see the data committed when the first began, or the imported snapshot.
        case repeatableRead = "REPEATABLE READ"
        /// Each statement sees the data committed when it began, so a statement after a lock sees the changes of the
        /// lock's last holder.
        case readCommitted = "READ COMMITTED"
    }

    /// Begins, in the run's snapshot or in a fresh one, and returns the transaction's id for `commit`. After `SnapshotLost`
    /// the session can be used for another attempt.
    ///
    /// - Parameters:
    ///   - tables: with a snapshot, the tables that the script reads; they are locked in ACCESS SHARE mode.
    ///   - lockWait: time limit for these locks, a minute by default; then the error is SQLSTATE 55P03.
    package static func begin(
        in session: PostgresSession, snapshotID: String?, locking tables: [String] = [],
        lockWait: Duration? = nil, isolation: Isolation = .repeatableRead
    ) async throws -> String {
        // The session may be a ledger connection: its commits do not wait for the disk, and its lock_timeout is short. A result
        // must be durable, and work may wait for a lock.
        var statements = [
            "BEGIN ISOLATION LEVEL \(isolation.rawValue)", "SET LOCAL synchronous_commit = on",
            "SET LOCAL lock_timeout = \(Int(Snapshot.lockWait / .milliseconds(1)))",
        ]
        if let snapshotID {
            statements += Snapshot.import(snapshotID, locking: tables, within: lockWait ?? Snapshot.lockWait)
        }
        statements.append("SELECT pg_catalog.pg_current_xact_id()")
        let limit = (lockWait ?? Snapshot.lockWait) + PostgresSession.statementLimit
        let begun = {
            try await session.execute(statements.joined(separator: "; "), within: limit, action: "begin the work")
        }
        let id = snapshotID == nil ? try await begun() : try await Snapshot.importing(in: session, begun)
        return id.firstValue ?? ""
    }

    /// Inserts the result as the last statement and commits. Returns false if the job already has a result: no change
    /// of this attempt remains. Any other unique violation, such as one of a deferred constraint of a run's table, is
    /// thrown.
    package static func commit(
        in session: PostgresSession, claim: Claim, workerID: String, transactionID: String, result: JobResult
    ) async throws -> Bool {
        let arguments = [
            SQL.literal(claim.jobID.description), "\(claim.attempt)", SQL.literal(workerID), SQL.literal(transactionID),
            "\(result.rows)", "\(result.bytes)", "\(result.durationMs)",
            SQL.literal(String(decoding: try WireFormat.encode(result.parts), as: UTF8.self)),
            SQL.literal(String(decoding: try WireFormat.encode(result.totals), as: UTF8.self)),
        ]
        do {
            try await session.execute(
                "SELECT bda.record_result(\(arguments.joined(separator: ", "))); COMMIT", action: "commit the result")
            return true
        } catch let error as PostgresError where error.violates("result_pkey", in: "bda") {
            try await session.execute("ROLLBACK", action: "roll back a job that already has a result")
            return false
        }
    }
}

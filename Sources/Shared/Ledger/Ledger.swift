package import Postgres

/// The ledger, schema `bda` in the warehouse: what is to be done, who does it, what is done. One store for each concern, all
/// on one connection.
package struct Ledger: Sendable {
    /// What all stores share; each call takes its turn.
    package let connection: LedgerConnection

    package var runs: RunStore { RunStore(connection: connection) }
    package var jobs: JobStore { JobStore(connection: connection) }
    package var results: ResultStore { ResultStore(connection: connection) }
    package var snapshots: SnapshotStore { SnapshotStore(connection: connection) }
    package var status: StatusStore { StatusStore(connection: connection) }

    /// A ledger that connects when it is first used: see `LedgerConnection`.
    package init(
        _ configuration: PostgresConfiguration, purpose: String,
        statementLimit: Duration = PostgresSession.statementLimit,
        afterConnect: (@Sendable (PostgresSession) async throws -> Void)? = nil
    ) {
        connection = LedgerConnection(
            configuration, purpose: purpose, statementLimit: statementLimit, afterConnect: afterConnect)
    }

    /// Ends the session.
    package func close() async { await connection.close() }
}

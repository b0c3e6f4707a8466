package import Postgres

/// The ledger, schema `bda` in the warehouse: the jobs of runs, their claims and their results. It has one store for
/// each concern, all on one connection.
package struct Ledger: Sendable {
    /// The connection that all stores share; calls are serialized.
    package let connection: LedgerConnection

    package var runs: RunStore { RunStore(connection: connection) }
    package var jobs: JobStore { JobStore(connection: connection) }
    package var results: ResultStore { ResultStore(connection: connection) }
    package var snapshots: SnapshotStore { SnapshotStore(connection: connection) }
    package var status: StatusStore { StatusStore(connection: connection) }

    /// A ledger that connects at its first use, see `LedgerConnection`.
    package init(
        _ configuration: PostgresConfiguration, purpose: String,
        statementLimit: Duration = PostgresSession.statementLimit,
        afterConnect: (@Sendable (PostgresSession) async throws -> Void)? = nil
    ) {
        connection = LedgerConnection(
            configuration, purpose: purpose, statementLimit: statementLimit, afterConnect: afterConnect)
    }

    package func close() async { await connection.close() }
}

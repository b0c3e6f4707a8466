import Foundation
import Glibc
import Postgres
import Testing

extension WholeSystem {
    /// Nothing waits without a limit: an outage, a reader or a mistake at one place never holds up what could go on.
    ///
    /// One suite for each thing that can be waited for.
    @Suite(.serialized) enum NothingWaits {}
}

extension Fleet {
    /// A jobs graph with a gate in it: jobs that copy charges out of the vault stop at the gate, and an archive needs them.
    static let gatedInit = [
        "tables/gated.sql": """
        -- Charges, copied.
        -- @table gated
        CREATE TABLE :"work".gated (partition_no integer NOT NULL, charge_no text NOT NULL)
        PARTITION BY LIST (partition_no)

        """,
        "init/tripica_gated.sql": """
        -- Copies charges.
        -- @segment tripica.gated
        -- @reads   vault
        -- @writes  gated
        INSERT INTO :"work".gated (partition_no, charge_no)
        SELECT :'partition'::integer, h.charge_no
        FROM datalake_vault.hub_charge AS h
        WHERE bda.bucket(h.charge_hk, :'partition_count'::integer) = :'partition'::integer
          AND public.wait_at_gate(4711 + 0 * length(h.charge_no))::text IS NOT NULL

        """,
        "archive/tripica_copied.sql": """
        -- The copy.
        -- @segment tripica.copied
        -- @needs   tripica.gated
        -- @reads   run
        -- @key     charge_no
        SELECT charge_no, :'business_date'::date AS business_date
        FROM :"work".gated WHERE partition_no = :'partition'::integer ORDER BY charge_no COLLATE "C"

        """,
    ]

    /// Opens a gate that `closeGate` has closed.
    func open(_ gate: PostgresSession) async throws {
        try await gate.execute("SELECT pg_advisory_unlock(4711)", action: "open the gate")
        await gate.close()
    }

    /// State, exit code and reason of the newest run.
    func newestRunEnding() async throws -> (state: String?, exitCode: String?, reason: String) {
        let row = try await session.execute(
            "SELECT state, exit_code, reason FROM bda.run ORDER BY run_id DESC LIMIT 1", action: "read the run"
        ).rows.first
        return (row?[0], row?[1], row?[2] ?? "")
    }
}

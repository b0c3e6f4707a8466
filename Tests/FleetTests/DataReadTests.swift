import Foundation
import JobModel
import Postgres
import Testing

extension WholeSystem {
    /// Which rows a run reads: all of them, of one point in time, or none.
    @Suite struct DataReadTests {
        @Test("a policy that hides rows ends the run with its table and what to do; nothing is exported")
        func rowSecurity() async throws {
            try await Fleet.with(["BDA_PARTITIONS": "2"]) { fleet in
                try await fleet.session.execute(
                    """
                    ALTER TABLE datalake_vault.sat_charge ENABLE ROW LEVEL SECURITY;
                    CREATE POLICY half ON datalake_vault.sat_charge USING (get_byte(charge_hk, 0) < 128)
                    """, action: "hide half of the charges")
                for arguments in [["run", "--date", SampleWarehouse.date], ["check", "--database"]] {
                    let program = try fleet.coordinator(arguments)
                    #expect(try await program.ended(within: .seconds(60)) == .exit(2), program.report)
                    for word in ["sat_charge", "row-level security", "BYPASSRLS", "init/tripica_data_charges.sql"] {
                        #expect(program.errorText.contains(word), "no '\(word)' in \(program.report)")
                    }
                }
                #expect(try await fleet.keys().isEmpty)
            }
        }

        @Test("check and run refuse a script that depends on the time, or whose tables no lock holds, by file and name")
        func refused() async throws {
            let query = "FROM datalake_vault.hub_customer ORDER BY customer_no COLLATE \"C\"\n"
            let scripts = [
                "archive/clock.sql": "SELECT customer_no, now() AS business_date \(query)",
                "archive/chance.sql":
                    "SELECT customer_no, :'business_date'::date AS business_date, random() AS x \(query)",
                "archive/hidden.sql":
                    "SELECT customer_no, :'business_date'::date AS business_date, odd.rows() AS x \(query)",
                "archive/summed.sql":
                    "SELECT n::text AS customer_no, :'business_date'::date AS business_date FROM odd.summed ORDER BY 1\n",
            ].map { file, query in
                let name = file.dropFirst("archive/".count).dropLast(".sql".count)
                return (
                    file, "-- @segment tripica.\(name)\n-- @reads vault\n-- @key customer_no\n-- @split none\n\(query)"
                )
            }
            try await Fleet.with(scripts: Dictionary(uniqueKeysWithValues: scripts)) { fleet in
                try await fleet.session.execute(
                    """
                    CREATE SCHEMA odd; GRANT USAGE ON SCHEMA odd TO PUBLIC;
                    CREATE MATERIALIZED VIEW odd.summed AS SELECT count(*) AS n FROM datalake_vault.hub_customer;
                    GRANT SELECT ON odd.summed TO PUBLIC;
                    CREATE FUNCTION odd.rows() RETURNS bigint LANGUAGE sql STABLE
                    AS 'SELECT count(*) FROM datalake_vault.hub_customer'
                    """, action: "make what cannot be locked")
                try await fleet.coordinator(["check"]).succeeds()
                for arguments in [["run", "--date", SampleWarehouse.date], ["check", "--database"]] {
                    let program = try fleet.coordinator(arguments)
                    #expect(try await program.ended(within: .seconds(60)) == .exit(2), program.report)
                    for word in [
                        "archive/clock.sql: now()", "archive/chance.sql: random()", "archive/hidden.sql", "odd.rows()",
                        "archive/summed.sql", "materialized view odd.summed",
                    ] {
                        #expect(program.errorText.contains(word), "no '\(word)' in \(program.report)")
                    }
                }
                #expect(try await fleet.keys().isEmpty)
            }
        }
    }
}

import Foundation
import JobModel
import Postgres
import Testing

extension WholeSystem {
    @Suite struct AddedDatasetTests {
        /// What a data engineer writes who wants contracts exported: a table, how it is filled, what is exported.
        private static let contracts = [
            "tables/data_contracts.sql": """
            -- Contracts known at the cut-off.
            -- @table data_contracts
            -- @view  data_contracts
            CREATE TABLE :"work".data_contracts (
                partition_no  integer NOT NULL,
                business_date date NOT NULL,
                contract_no   text NOT NULL,
                account_no    text NOT NULL,
                product       text NOT NULL,
                valid_to      date
            ) PARTITION BY LIST (partition_no);

            """,
            "init/tripica_data_contracts.sql": """
            -- The newest version of each contract.
            -- @segment tripica.data_contracts
            -- @reads   vault
            -- @writes  data_contracts
            INSERT INTO :"work".data_contracts (partition_no, business_date, contract_no, account_no, product, valid_to)
            SELECT :'partition'::integer, :'business_date'::date, k.contract_no, a.account_no, s.product, s.valid_to
            FROM datalake_vault.hub_contract AS k
            JOIN datalake_vault.link_contract_account AS ka USING (contract_hk)
            JOIN datalake_vault.hub_account AS a USING (account_hk)
            CROSS JOIN LATERAL (
                SELECT v.product, v.valid_to FROM datalake_vault.sat_contract AS v
                WHERE v.contract_hk = k.contract_hk AND v.load_dts <= :'cutoff'::timestamptz
                ORDER BY v.load_dts DESC LIMIT 1
            ) AS s
            WHERE bda.bucket(k.contract_hk, :'partition_count'::integer) = :'partition'::integer
              AND k.load_dts <= :'cutoff'::timestamptz

            """,
            "archive/tripica_contracts.sql": """
            -- Contracts known at the cut-off.
            -- @segment tripica.contracts
            -- @needs   tripica.data_contracts
            -- @reads   run
            -- @key     contract_no
            SELECT contract_no, business_date, account_no, product, valid_to
            FROM :"work".data_contracts
            WHERE partition_no = :'partition'::integer
            ORDER BY contract_no COLLATE "C"

            """,
        ]

        @Test(
            "a dataset of SQL files in a second folder is checked, planned, tried, exported, in the manifest and in a view"
        )
        func added() async throws {
            try await Fleet.with(scripts: Self.contracts) { fleet in
                try await fleet.coordinator(["check", "--database"]).succeeds()
                let plan = try fleet.coordinator(["plan", "--date", SampleWarehouse.date])
                try await plan.succeeds()
                #expect(
                    plan.outputText.contains(
                        #/tripica\.contracts +archive +run +4 +tripica\.data_contracts \(same partition\)/#),
                    plan.report)
                let file = "\(fleet.folder.path)/scripts/archive/tripica_contracts.sql"
                let trial = try fleet.coordinator(["try", file, "--date", SampleWarehouse.date, "--partition", "1/4"])
                try await trial.succeeds()
                #expect(trial.outputText.contains("(20 rows shown, at most 20)"), trial.report)

                let worker = try fleet.worker("one")
                try await fleet.run().succeeds()
                try await fleet.drain(worker)
                let export = try await Export.latest(in: fleet.store)
                let expected = try await fleet.session.execute(
                    """
                    SELECT k.contract_no || ',' || DATE '\(SampleWarehouse.date)' || ',' || a.account_no || ',' || s.product || ','
                           || coalesce(s.valid_to::text, '')
                    FROM datalake_vault.hub_contract AS k
                    JOIN datalake_vault.link_contract_account USING (contract_hk)
                    JOIN datalake_vault.hub_account AS a USING (account_hk)
                    JOIN (SELECT DISTINCT ON (contract_hk) * FROM datalake_vault.sat_contract
                          WHERE load_dts <= '\(SampleWarehouse.cutoff)' ORDER BY contract_hk, load_dts DESC) AS s USING (contract_hk)
                    """, action: "read the contracts"
                ).rows.compactMap { $0[0] }
                #expect(Set(try #require(export.rows["tripica.contracts"]).map(\.text)) == Set(expected))
                #expect(export.run.datasets.first { "\($0.name)" == "tripica.contracts" }?.rows == expected.count)
                let shown = try await fleet.session.execute(
                    "SELECT count(*) FROM report_oibl.data_contracts", action: "read the view"
                ).firstValue
                #expect(shown == "\(expected.count)")
            }
        }
    }
}

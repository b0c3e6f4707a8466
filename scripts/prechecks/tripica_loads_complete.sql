-- The loads of the business date are complete: each satellite of Tripica has a nightly load that ended by the cut-off
-- and inserted as many rows as it reports.
-- @segment  tripica.loads_complete
-- @reads    vault
-- @severity error
-- @hint     Wait for the load, or start it again, in the warehouse; then run the date again.
WITH expected (vault, satellite) AS (
    VALUES ('datalake_vault', 'sat_customer'), ('datalake_vault', 'sat_account'), ('datalake_vault', 'sat_contract'),
           ('datalake_vault', 'sat_charge'), ('datalake_vault', 'sat_payment'), ('datalake_vault', 'sat_write_off'),
           ('dunning_vault', 'sat_dunning_case'), ('dunning_vault', 'sat_dunning_block')
),
loads AS (
    SELECT 'datalake_vault' AS vault, c.* FROM datalake_vault.load_control AS c WHERE c.business_date = :'business_date'::date
    UNION ALL
    SELECT 'dunning_vault', c.* FROM dunning_vault.load_control AS c WHERE c.business_date = :'business_date'::date
),
nights AS (
    SELECT e.vault, e.satellite, l.started_at, l.finished_at, l.row_count AS rows_announced
    FROM expected AS e
    LEFT JOIN loads AS l ON l.vault = e.vault AND l.satellite = e.satellite AND l.load_name = 'nightly'
),
loaded AS (
    SELECT n.*, (
        SELECT count(*)
        FROM (
            SELECT 'datalake_vault' AS vault, 'sat_customer' AS satellite, load_dts FROM datalake_vault.sat_customer
            UNION ALL SELECT 'datalake_vault', 'sat_account', load_dts FROM datalake_vault.sat_account
            UNION ALL SELECT 'datalake_vault', 'sat_contract', load_dts FROM datalake_vault.sat_contract
            UNION ALL SELECT 'datalake_vault', 'sat_charge', load_dts FROM datalake_vault.sat_charge
            UNION ALL SELECT 'datalake_vault', 'sat_payment', load_dts FROM datalake_vault.sat_payment
            UNION ALL SELECT 'datalake_vault', 'sat_write_off', load_dts FROM datalake_vault.sat_write_off
            UNION ALL SELECT 'dunning_vault', 'sat_dunning_case', load_dts FROM dunning_vault.sat_dunning_case
            UNION ALL SELECT 'dunning_vault', 'sat_dunning_block', load_dts FROM dunning_vault.sat_dunning_block
        ) AS r
        WHERE r.vault = n.vault AND r.satellite = n.satellite AND r.load_dts BETWEEN n.started_at AND n.finished_at
    ) AS rows_found
    FROM nights AS n
)
SELECT vault || '.' || satellite AS satellite, :'business_date'::date AS business_date, started_at, finished_at, rows_announced, rows_found,
       CASE WHEN started_at IS NULL THEN 'no load'
            WHEN finished_at IS NULL THEN 'load not finished'
            WHEN finished_at > :'cutoff'::timestamptz THEN 'load finished after the cut-off'
            ELSE 'rows are missing or too many' END AS problem
FROM loaded
WHERE finished_at IS NULL OR finished_at > :'cutoff'::timestamptz OR rows_announced IS DISTINCT FROM rows_found
ORDER BY satellite

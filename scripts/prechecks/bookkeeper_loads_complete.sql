-- The loads of the business date are complete: each satellite of Bookkeeper has a nightly load that ended by the
-- cut-off and inserted as many rows as it reports.
-- @segment  bookkeeper.loads_complete
-- @reads    vault
-- @severity error
-- @hint     Wait for the load, or start it again, in the warehouse; then run the date again.
WITH expected (satellite) AS (VALUES ('sat_document'), ('msat_document_line'), ('msat_journal_line'), ('msat_tax_line')),
nights AS (
    SELECT e.satellite, l.started_at, l.finished_at, l.row_count AS rows_announced
    FROM expected AS e
    LEFT JOIN bookkeeper_vault.load_control AS l
        ON l.satellite = e.satellite AND l.load_name = 'nightly' AND l.business_date = :'business_date'::date
),
loaded AS (
    SELECT n.*, (
        SELECT count(*)
        FROM (
            SELECT 'sat_document' AS satellite, load_dts FROM bookkeeper_vault.sat_document
            UNION ALL SELECT 'msat_document_line', load_dts FROM bookkeeper_vault.msat_document_line
            UNION ALL SELECT 'msat_journal_line', load_dts FROM bookkeeper_vault.msat_journal_line
            UNION ALL SELECT 'msat_tax_line', load_dts FROM bookkeeper_vault.msat_tax_line
        ) AS r
        WHERE r.satellite = n.satellite AND r.load_dts BETWEEN n.started_at AND n.finished_at
    ) AS rows_found
    FROM nights AS n
)
SELECT 'bookkeeper_vault.' || satellite AS satellite, :'business_date'::date AS business_date, started_at, finished_at,
       rows_announced, rows_found,
       CASE WHEN started_at IS NULL THEN 'no load'
            WHEN finished_at IS NULL THEN 'load not finished'
            WHEN finished_at > :'cutoff'::timestamptz THEN 'load finished after the cut-off'
            ELSE 'rows are missing or too many' END AS problem
FROM loaded
WHERE finished_at IS NULL OR finished_at > :'cutoff'::timestamptz OR rows_announced IS DISTINCT FROM rows_found
ORDER BY satellite

-- Write-offs of one bucket with a write-off date up to the business date, in their newest version as of the cut-off.
-- Reversed ones are listed with their status; they write nothing off.
-- @segment tripica.data_write_offs
-- @reads   vault
-- @writes  data_write_offs
INSERT INTO :"work".data_write_offs (partition_no, business_date, write_off_no, customer_no, account_no, document_no,
    write_off_date, reason, status, currency, amount, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, w.write_off_no, c.customer_no, a.account_no, s.document_no,
       s.write_off_date, s.reason, s.status, s.currency, s.amount, s.load_dts AT TIME ZONE 'UTC'
FROM datalake_vault.hub_customer AS c
JOIN datalake_vault.link_account_customer AS ac USING (customer_hk)
JOIN datalake_vault.hub_account AS a USING (account_hk)
JOIN datalake_vault.link_write_off_account AS wa USING (account_hk)
JOIN datalake_vault.hub_write_off AS w USING (write_off_hk)
CROSS JOIN LATERAL (
    SELECT v.document_no, v.write_off_date, v.reason, v.status, v.currency, v.amount, v.load_dts
    FROM datalake_vault.sat_write_off AS v
    WHERE v.write_off_hk = wa.write_off_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE bda.bucket(c.customer_hk, :'partition_count'::integer) = :'partition'::integer
  AND ac.load_dts <= :'cutoff'::timestamptz AND wa.load_dts <= :'cutoff'::timestamptz
  AND s.write_off_date <= :'business_date'::date

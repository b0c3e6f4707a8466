-- Write-offs of one bucket with a write-off date up to the business date, in their newest version as of the cut-off.
-- Reversed write-offs are exported with their status; they do not reduce the balance.
-- @segment tripica.data_write_offs
-- @reads   vault
-- @writes  data_write_offs
INSERT INTO :"work".data_write_offs (partition_no, business_date, write_off_no, customer_no, account_no, document_no,
    write_off_date, reason, status, currency, amount, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.write_off_no, l.customer_no, l.account_no, s.document_no,
       s.write_off_date, s.reason, s.status, s.currency, s.amount, s.load_dts AT TIME ZONE 'UTC'
FROM (
    SELECT wa.write_off_hk, c.customer_no, a.account_no
    FROM datalake_vault.link_account_customer AS ac
    JOIN datalake_vault.hub_customer AS c USING (customer_hk)
    JOIN datalake_vault.hub_account AS a USING (account_hk)
    JOIN datalake_vault.link_write_off_account AS wa USING (account_hk)
    WHERE bda.bucket(ac.customer_hk, :'partition_count'::integer) = :'partition'::integer
      AND c.load_dts <= :'cutoff'::timestamptz AND ac.load_dts <= :'cutoff'::timestamptz AND a.load_dts <= :'cutoff'::timestamptz
      AND wa.load_dts <= :'cutoff'::timestamptz
    ORDER BY wa.write_off_hk
    OFFSET 0
) AS l
CROSS JOIN LATERAL (
    SELECT u.write_off_no
    FROM datalake_vault.hub_write_off AS u
    WHERE u.write_off_hk = l.write_off_hk AND u.load_dts <= :'cutoff'::timestamptz
    LIMIT 1
) AS h
CROSS JOIN LATERAL (
    SELECT v.document_no, v.write_off_date, v.reason, v.status, v.currency, v.amount, v.load_dts
    FROM datalake_vault.sat_write_off AS v
    WHERE v.write_off_hk = l.write_off_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE s.write_off_date <= :'business_date'::date

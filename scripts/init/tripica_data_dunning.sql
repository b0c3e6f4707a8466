-- Dunning cases of one bucket, in their newest version as of the cut-off, if that version's level was reached by the
-- business date. A case is blocked if its newest block covers the business date; a block may have no end. Past and
-- future blocks are not exported.
-- @segment tripica.data_dunning
-- @reads   vault
-- @writes  data_dunning
INSERT INTO :"work".data_dunning (partition_no, business_date, case_no, customer_no, account_no, document_no, status,
    dunning_level, level_date, currency, amount_dunned, fee, is_blocked, block_reason, blocked_from, blocked_until, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.case_no, l.customer_no, l.account_no, s.document_no, s.status,
       s.dunning_level, s.level_date, s.currency, s.amount_dunned, s.fee, coalesce(b.is_blocked, false),
       CASE WHEN b.is_blocked THEN b.block_reason END, CASE WHEN b.is_blocked THEN b.blocked_from END,
       CASE WHEN b.is_blocked THEN b.blocked_until END, s.load_dts AT TIME ZONE 'UTC'
FROM (
    SELECT da.dunning_case_hk, c.customer_no, a.account_no
    FROM datalake_vault.link_account_customer AS ac
    JOIN datalake_vault.hub_customer AS c USING (customer_hk)
    JOIN datalake_vault.hub_account AS a USING (account_hk)
    JOIN dunning_vault.link_dunning_case_account AS da USING (account_hk)
    WHERE bda.bucket(ac.customer_hk, :'partition_count'::integer) = :'partition'::integer
      AND c.load_dts <= :'cutoff'::timestamptz AND ac.load_dts <= :'cutoff'::timestamptz AND a.load_dts <= :'cutoff'::timestamptz
      AND da.load_dts <= :'cutoff'::timestamptz
    ORDER BY da.dunning_case_hk
    OFFSET 0
) AS l
CROSS JOIN LATERAL (
    SELECT u.case_no
    FROM dunning_vault.hub_dunning_case AS u
    WHERE u.dunning_case_hk = l.dunning_case_hk AND u.load_dts <= :'cutoff'::timestamptz
    LIMIT 1
) AS h
CROSS JOIN LATERAL (
    SELECT v.document_no, v.status, v.dunning_level, v.level_date, v.currency, v.amount_dunned, v.fee, v.load_dts
    FROM dunning_vault.sat_dunning_case AS v
    WHERE v.dunning_case_hk = l.dunning_case_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
LEFT JOIN LATERAL (
    SELECT v.block_reason, v.blocked_from, v.blocked_until,
           v.blocked_from <= :'business_date'::date AND coalesce(v.blocked_until >= :'business_date'::date, true) AS is_blocked
    FROM dunning_vault.sat_dunning_block AS v
    WHERE v.dunning_case_hk = l.dunning_case_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS b ON true
WHERE s.level_date <= :'business_date'::date

-- Accounts of one bucket of customers.
-- @segment tripica.base_accounts
-- @reads   vault
-- @writes  base_data_accounts
INSERT INTO :"work".base_data_accounts (partition_no, account_no, customer_no, currency)
SELECT :'partition'::integer, a.account_no, c.customer_no, s.currency
FROM datalake_vault.hub_customer AS c
JOIN datalake_vault.link_account_customer AS ac USING (customer_hk)
JOIN datalake_vault.hub_account AS a USING (account_hk)
CROSS JOIN LATERAL (
    SELECT v.currency
    FROM datalake_vault.sat_account AS v
    WHERE v.account_hk = ac.account_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE bda.bucket(c.customer_hk, :'partition_count'::integer) = :'partition'::integer
  AND c.load_dts <= :'cutoff'::timestamptz AND ac.load_dts <= :'cutoff'::timestamptz AND a.load_dts <= :'cutoff'::timestamptz

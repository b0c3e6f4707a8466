-- Payments on the accounts of one bucket with a value date up to the business date. A payment with status `returned` in
-- its newest version (the bank returned the money) does not count. Money paid out is negative.
-- @segment tripica.base_payments
-- @reads   vault
-- @writes  base_data_payments
INSERT INTO :"work".base_data_payments (partition_no, payment_no, account_no, currency, amount)
SELECT :'partition'::integer, h.payment_no, l.account_no, s.currency, s.amount
FROM (
    SELECT pa.payment_hk, a.account_no
    FROM datalake_vault.link_account_customer AS ac
    JOIN datalake_vault.hub_account AS a USING (account_hk)
    JOIN datalake_vault.link_payment_account AS pa USING (account_hk)
    WHERE bda.bucket(ac.customer_hk, :'partition_count'::integer) = :'partition'::integer
      AND ac.load_dts <= :'cutoff'::timestamptz AND a.load_dts <= :'cutoff'::timestamptz
      AND pa.load_dts <= :'cutoff'::timestamptz
    -- Sorted in the order of the indexes that are probed next, as for charges.
    ORDER BY pa.payment_hk
    OFFSET 0
) AS l
CROSS JOIN LATERAL (
    SELECT u.payment_no
    FROM datalake_vault.hub_payment AS u
    WHERE u.payment_hk = l.payment_hk AND u.load_dts <= :'cutoff'::timestamptz
    LIMIT 1
) AS h
CROSS JOIN LATERAL (
    SELECT v.value_date, v.status, v.currency, v.amount
    FROM datalake_vault.sat_payment AS v
    WHERE v.payment_hk = l.payment_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE s.value_date <= :'business_date'::date AND s.status = 'received'

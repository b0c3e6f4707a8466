-- Charges of one bucket: all items of billing documents dated up to the business date, in their newest version as of
-- the cut-off. Items are not netted: a cancelled item is exported with status `cancelled`, and its cancellation is a
-- separate item with negated amounts, so that the sum over both is zero.
--
-- The cost of a bucket depends on its own size and not on that of the vault: its charges are found over its accounts
-- and sorted by hash key, and then the keys of hub and satellite are probed once for each charge, in the order of those
-- indexes (docs/decisions/0008-cost-of-partitioning.md).
-- @segment tripica.data_charges
-- @reads   vault
-- @writes  data_charges
INSERT INTO :"work".data_charges (partition_no, business_date, charge_no, document_no, customer_no, account_no, contract_no,
    charge_type, status, document_date, due_date, currency, tax_rate, amount_net, amount_tax, amount_gross,
    cancels_charge_no, description, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.charge_no, s.document_no, l.customer_no, l.account_no, l.contract_no,
       s.charge_type, s.status, s.document_date, s.due_date, s.currency, s.tax_rate, s.amount_net, s.amount_tax, s.amount_gross,
       s.cancels_charge_no, s.description, s.load_dts AT TIME ZONE 'UTC'
FROM (
    SELECT lc.charge_hk, c.customer_no, a.account_no, k.contract_no
    FROM datalake_vault.link_account_customer AS ac
    JOIN datalake_vault.hub_customer AS c USING (customer_hk)
    JOIN datalake_vault.hub_account AS a USING (account_hk)
    JOIN datalake_vault.link_charge AS lc USING (account_hk)
    JOIN datalake_vault.hub_contract AS k USING (contract_hk)
    WHERE bda.bucket(ac.customer_hk, :'partition_count'::integer) = :'partition'::integer
      AND c.load_dts <= :'cutoff'::timestamptz AND ac.load_dts <= :'cutoff'::timestamptz AND a.load_dts <= :'cutoff'::timestamptz
      AND lc.load_dts <= :'cutoff'::timestamptz AND k.load_dts <= :'cutoff'::timestamptz
    ORDER BY lc.charge_hk
    OFFSET 0
) AS l
CROSS JOIN LATERAL (
    SELECT u.charge_no
    FROM datalake_vault.hub_charge AS u
    WHERE u.charge_hk = l.charge_hk AND u.load_dts <= :'cutoff'::timestamptz
    LIMIT 1
) AS h
CROSS JOIN LATERAL (
    -- As of the cut-off: the newest version that was loaded by then.
    SELECT v.document_no, v.charge_type, v.status, v.document_date, v.due_date, v.currency, v.tax_rate, v.amount_net,
           v.amount_tax, v.amount_gross, v.cancels_charge_no, v.description, v.load_dts
    FROM datalake_vault.sat_charge AS v
    WHERE v.charge_hk = l.charge_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE s.document_date <= :'business_date'::date

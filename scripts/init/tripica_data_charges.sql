-- Charges of one bucket: all items of billing documents dated up to the business date, in their newest version as of the
-- cut-off. Nothing is netted: a cancelled item stays (status `cancelled`), and its cancellation is an item of its own with
-- the amounts negated, so that the sum over both is zero.
-- @segment tripica.data_charges
-- @reads   vault
-- @writes  data_charges
INSERT INTO :"work".data_charges (partition_no, business_date, charge_no, document_no, customer_no, account_no, contract_no,
    charge_type, status, document_date, due_date, currency, tax_rate, amount_net, amount_tax, amount_gross,
    cancels_charge_no, description, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.charge_no, s.document_no, c.customer_no, a.account_no, k.contract_no,
       s.charge_type, s.status, s.document_date, s.due_date, s.currency, s.tax_rate, s.amount_net, s.amount_tax, s.amount_gross,
       s.cancels_charge_no, s.description, s.load_dts AT TIME ZONE 'UTC'
FROM datalake_vault.hub_customer AS c
JOIN datalake_vault.link_account_customer AS ac USING (customer_hk)
JOIN datalake_vault.hub_account AS a USING (account_hk)
JOIN datalake_vault.link_charge AS l USING (account_hk)
JOIN datalake_vault.hub_contract AS k USING (contract_hk)
JOIN datalake_vault.hub_charge AS h USING (charge_hk)
CROSS JOIN LATERAL (
    -- As of the cut-off: the newest version that was loaded by then. A probe of the satellite's key for each charge, so
    -- that a bucket costs what it holds and not what the whole satellite holds.
    SELECT v.document_no, v.charge_type, v.status, v.document_date, v.due_date, v.currency, v.tax_rate, v.amount_net,
           v.amount_tax, v.amount_gross, v.cancels_charge_no, v.description, v.load_dts
    FROM datalake_vault.sat_charge AS v
    WHERE v.charge_hk = l.charge_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
WHERE bda.bucket(c.customer_hk, :'partition_count'::integer) = :'partition'::integer
  AND ac.load_dts <= :'cutoff'::timestamptz AND l.load_dts <= :'cutoff'::timestamptz
  AND s.document_date <= :'business_date'::date

-- tripica.data_charges without partitioning: it reads every table as a whole, joins by hash, and finds the newest
-- versions with a sort. The benchmark compares the probes of a partition with it.
INSERT INTO :"work".data_charges (partition_no, business_date, charge_no, document_no, customer_no, account_no, contract_no,
    charge_type, status, document_date, due_date, currency, tax_rate, amount_net, amount_tax, amount_gross,
    cancels_charge_no, description, loaded_at_utc)
SELECT 0, :'business_date'::date, h.charge_no, s.document_no, c.customer_no, a.account_no, k.contract_no,
       s.charge_type, s.status, s.document_date, s.due_date, s.currency, s.tax_rate, s.amount_net, s.amount_tax, s.amount_gross,
       s.cancels_charge_no, s.description, s.load_dts AT TIME ZONE 'UTC'
FROM datalake_vault.link_account_customer AS ac
JOIN datalake_vault.hub_customer AS c USING (customer_hk)
JOIN datalake_vault.hub_account AS a USING (account_hk)
JOIN datalake_vault.link_charge AS lc USING (account_hk)
JOIN datalake_vault.hub_contract AS k USING (contract_hk)
JOIN datalake_vault.hub_charge AS h USING (charge_hk)
JOIN (
    SELECT DISTINCT ON (charge_hk) *
    FROM datalake_vault.sat_charge
    WHERE load_dts <= :'cutoff'::timestamptz
    ORDER BY charge_hk, load_dts DESC
) AS s USING (charge_hk)
WHERE c.load_dts <= :'cutoff'::timestamptz AND ac.load_dts <= :'cutoff'::timestamptz AND a.load_dts <= :'cutoff'::timestamptz
  AND lc.load_dts <= :'cutoff'::timestamptz AND k.load_dts <= :'cutoff'::timestamptz AND h.load_dts <= :'cutoff'::timestamptz
  AND s.document_date <= :'business_date'::date

-- Tripica has no duplicate keys at the cut-off: each business key is in its hub once, and each account, charge or other
-- key is linked once. With a duplicate its amounts would count twice.
-- @segment  tripica.keys_unique
-- @reads    vault
-- @severity error
-- @hint     Remove the duplicate row, and correct the load so that it inserts a key only if the hub or link does not have it; then run the date again.
SELECT table_name, key, problem, count(*) AS rows
FROM (
    SELECT 'datalake_vault.hub_customer' AS table_name, h.customer_no AS key, 'business key occurs more than once' AS problem
    FROM datalake_vault.hub_customer AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.hub_account', h.account_no, 'business key occurs more than once'
    FROM datalake_vault.hub_account AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.hub_contract', h.contract_no, 'business key occurs more than once'
    FROM datalake_vault.hub_contract AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.hub_charge', h.charge_no, 'business key occurs more than once'
    FROM datalake_vault.hub_charge AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.hub_payment', h.payment_no, 'business key occurs more than once'
    FROM datalake_vault.hub_payment AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.hub_write_off', h.write_off_no, 'business key occurs more than once'
    FROM datalake_vault.hub_write_off AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'dunning_vault.hub_dunning_case', h.case_no, 'business key occurs more than once'
    FROM dunning_vault.hub_dunning_case AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.link_account_customer', h.account_no, 'is linked more than once'
    FROM datalake_vault.link_account_customer AS l JOIN datalake_vault.hub_account AS h USING (account_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.link_contract_account', h.contract_no, 'is linked more than once'
    FROM datalake_vault.link_contract_account AS l JOIN datalake_vault.hub_contract AS h USING (contract_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.link_charge', h.charge_no, 'is linked more than once'
    FROM datalake_vault.link_charge AS l JOIN datalake_vault.hub_charge AS h USING (charge_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.link_payment_account', h.payment_no, 'is linked more than once'
    FROM datalake_vault.link_payment_account AS l JOIN datalake_vault.hub_payment AS h USING (payment_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'datalake_vault.link_write_off_account', h.write_off_no, 'is linked more than once'
    FROM datalake_vault.link_write_off_account AS l JOIN datalake_vault.hub_write_off AS h USING (write_off_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'dunning_vault.link_dunning_case_account', h.case_no, 'is linked more than once'
    FROM dunning_vault.link_dunning_case_account AS l JOIN dunning_vault.hub_dunning_case AS h USING (dunning_case_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
) AS k
GROUP BY table_name, key, problem
HAVING count(*) > 1
ORDER BY table_name, key

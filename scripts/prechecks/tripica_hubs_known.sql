-- Every link and satellite row of Tripica belongs to keys that are in their hub at the cut-off. Otherwise the exports
-- would lack its rows without a notice.
-- @segment  tripica.hubs_known
-- @reads    vault
-- @severity error
-- @hint     Load the missing hubs, or find out why the load omitted them; then run the date again.
SELECT table_name, hub, encode(hash_key, 'hex') AS hash_key, count(*) AS rows, min(load_dts) AS first_load_dts
FROM (
    SELECT 'datalake_vault.sat_customer' AS table_name, 'datalake_vault.hub_customer' AS hub,
           t.customer_hk AS hash_key, t.load_dts
    FROM datalake_vault.sat_customer AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_customer AS h
                      WHERE h.customer_hk = t.customer_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.sat_account', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM datalake_vault.sat_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.sat_contract', 'datalake_vault.hub_contract', t.contract_hk, t.load_dts
    FROM datalake_vault.sat_contract AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_contract AS h
                      WHERE h.contract_hk = t.contract_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.sat_charge', 'datalake_vault.hub_charge', t.charge_hk, t.load_dts
    FROM datalake_vault.sat_charge AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_charge AS h
                      WHERE h.charge_hk = t.charge_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.sat_payment', 'datalake_vault.hub_payment', t.payment_hk, t.load_dts
    FROM datalake_vault.sat_payment AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_payment AS h
                      WHERE h.payment_hk = t.payment_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.sat_write_off', 'datalake_vault.hub_write_off', t.write_off_hk, t.load_dts
    FROM datalake_vault.sat_write_off AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_write_off AS h
                      WHERE h.write_off_hk = t.write_off_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'dunning_vault.sat_dunning_case', 'dunning_vault.hub_dunning_case', t.dunning_case_hk, t.load_dts
    FROM dunning_vault.sat_dunning_case AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM dunning_vault.hub_dunning_case AS h
                      WHERE h.dunning_case_hk = t.dunning_case_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'dunning_vault.sat_dunning_block', 'dunning_vault.hub_dunning_case', t.dunning_case_hk, t.load_dts
    FROM dunning_vault.sat_dunning_block AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM dunning_vault.hub_dunning_case AS h
                      WHERE h.dunning_case_hk = t.dunning_case_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_account_customer', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM datalake_vault.link_account_customer AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_account_customer', 'datalake_vault.hub_customer', t.customer_hk, t.load_dts
    FROM datalake_vault.link_account_customer AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_customer AS h
                      WHERE h.customer_hk = t.customer_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_contract_account', 'datalake_vault.hub_contract', t.contract_hk, t.load_dts
    FROM datalake_vault.link_contract_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_contract AS h
                      WHERE h.contract_hk = t.contract_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_contract_account', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM datalake_vault.link_contract_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_charge', 'datalake_vault.hub_charge', t.charge_hk, t.load_dts
    FROM datalake_vault.link_charge AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_charge AS h
                      WHERE h.charge_hk = t.charge_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_charge', 'datalake_vault.hub_contract', t.contract_hk, t.load_dts
    FROM datalake_vault.link_charge AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_contract AS h
                      WHERE h.contract_hk = t.contract_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_charge', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM datalake_vault.link_charge AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_payment_account', 'datalake_vault.hub_payment', t.payment_hk, t.load_dts
    FROM datalake_vault.link_payment_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_payment AS h
                      WHERE h.payment_hk = t.payment_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_payment_account', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM datalake_vault.link_payment_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_write_off_account', 'datalake_vault.hub_write_off', t.write_off_hk, t.load_dts
    FROM datalake_vault.link_write_off_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_write_off AS h
                      WHERE h.write_off_hk = t.write_off_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.link_write_off_account', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM datalake_vault.link_write_off_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'dunning_vault.link_dunning_case_account', 'dunning_vault.hub_dunning_case', t.dunning_case_hk, t.load_dts
    FROM dunning_vault.link_dunning_case_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM dunning_vault.hub_dunning_case AS h
                      WHERE h.dunning_case_hk = t.dunning_case_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'dunning_vault.link_dunning_case_account', 'datalake_vault.hub_account', t.account_hk, t.load_dts
    FROM dunning_vault.link_dunning_case_account AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.hub_account AS h
                      WHERE h.account_hk = t.account_hk AND h.load_dts <= :'cutoff'::timestamptz)
) AS unknown
GROUP BY table_name, hub, hash_key
ORDER BY table_name, hub, hash_key

-- Every key of Tripica that is known at the cut-off is complete: it has attributes in its satellite, and a link to its
-- customer or account. Otherwise the exports would lack its rows without a notice.
-- @segment  tripica.hubs_complete
-- @reads    vault
-- @severity error
-- @hint     Load the missing rows, or find out why the load omitted them; then run the date again.
SELECT hub, business_key, load_dts, problem
FROM (
    SELECT 'datalake_vault.hub_customer' AS hub, h.customer_no AS business_key,
           h.load_dts, 'no version in datalake_vault.sat_customer' AS problem
    FROM datalake_vault.hub_customer AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.sat_customer AS o
                      WHERE o.customer_hk = h.customer_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_account', h.account_no, h.load_dts, 'no version in datalake_vault.sat_account'
    FROM datalake_vault.hub_account AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.sat_account AS o
                      WHERE o.account_hk = h.account_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_account', h.account_no, h.load_dts, 'no customer in datalake_vault.link_account_customer'
    FROM datalake_vault.hub_account AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.link_account_customer AS o
                      WHERE o.account_hk = h.account_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_contract', h.contract_no, h.load_dts, 'no version in datalake_vault.sat_contract'
    FROM datalake_vault.hub_contract AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.sat_contract AS o
                      WHERE o.contract_hk = h.contract_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_contract', h.contract_no, h.load_dts, 'no account in datalake_vault.link_contract_account'
    FROM datalake_vault.hub_contract AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.link_contract_account AS o
                      WHERE o.contract_hk = h.contract_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_charge', h.charge_no, h.load_dts, 'no version in datalake_vault.sat_charge'
    FROM datalake_vault.hub_charge AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.sat_charge AS o
                      WHERE o.charge_hk = h.charge_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_charge', h.charge_no, h.load_dts, 'no account in datalake_vault.link_charge'
    FROM datalake_vault.hub_charge AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.link_charge AS o
                      WHERE o.charge_hk = h.charge_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_payment', h.payment_no, h.load_dts, 'no version in datalake_vault.sat_payment'
    FROM datalake_vault.hub_payment AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.sat_payment AS o
                      WHERE o.payment_hk = h.payment_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_payment', h.payment_no, h.load_dts, 'no account in datalake_vault.link_payment_account'
    FROM datalake_vault.hub_payment AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.link_payment_account AS o
                      WHERE o.payment_hk = h.payment_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_write_off', h.write_off_no, h.load_dts, 'no version in datalake_vault.sat_write_off'
    FROM datalake_vault.hub_write_off AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.sat_write_off AS o
                      WHERE o.write_off_hk = h.write_off_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'datalake_vault.hub_write_off', h.write_off_no, h.load_dts, 'no account in datalake_vault.link_write_off_account'
    FROM datalake_vault.hub_write_off AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM datalake_vault.link_write_off_account AS o
                      WHERE o.write_off_hk = h.write_off_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'dunning_vault.hub_dunning_case', h.case_no, h.load_dts, 'no version in dunning_vault.sat_dunning_case'
    FROM dunning_vault.hub_dunning_case AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM dunning_vault.sat_dunning_case AS o
                      WHERE o.dunning_case_hk = h.dunning_case_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'dunning_vault.hub_dunning_case', h.case_no, h.load_dts, 'no account in dunning_vault.link_dunning_case_account'
    FROM dunning_vault.hub_dunning_case AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM dunning_vault.link_dunning_case_account AS o
                      WHERE o.dunning_case_hk = h.dunning_case_hk AND o.load_dts <= :'cutoff'::timestamptz)
) AS incomplete
ORDER BY hub, business_key, problem

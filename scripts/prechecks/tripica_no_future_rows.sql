-- No row in the vaults of Tripica has a load time after the start of this run; a difference between clocks of five
-- minutes is allowed. Such rows were loaded with a wrong clock or time zone, so the figures of their business date may
-- lack them.
-- @segment  tripica.no_future_rows
-- @reads    vault
-- @severity error
-- @hint     Check the clock and the time zone of the load that wrote the rows, correct their load_dts, and run the date again.
SELECT table_name, count(*) AS rows, min(load_dts) AS first_load_dts, max(load_dts) AS last_load_dts
FROM (
    SELECT 'datalake_vault.hub_customer' AS table_name, load_dts FROM datalake_vault.hub_customer
    UNION ALL SELECT 'datalake_vault.sat_customer', load_dts FROM datalake_vault.sat_customer
    UNION ALL SELECT 'datalake_vault.hub_account', load_dts FROM datalake_vault.hub_account
    UNION ALL SELECT 'datalake_vault.link_account_customer', load_dts FROM datalake_vault.link_account_customer
    UNION ALL SELECT 'datalake_vault.sat_account', load_dts FROM datalake_vault.sat_account
    UNION ALL SELECT 'datalake_vault.hub_contract', load_dts FROM datalake_vault.hub_contract
    UNION ALL SELECT 'datalake_vault.link_contract_account', load_dts FROM datalake_vault.link_contract_account
    UNION ALL SELECT 'datalake_vault.sat_contract', load_dts FROM datalake_vault.sat_contract
    UNION ALL SELECT 'datalake_vault.hub_charge', load_dts FROM datalake_vault.hub_charge
    UNION ALL SELECT 'datalake_vault.link_charge', load_dts FROM datalake_vault.link_charge
    UNION ALL SELECT 'datalake_vault.sat_charge', load_dts FROM datalake_vault.sat_charge
    UNION ALL SELECT 'datalake_vault.hub_payment', load_dts FROM datalake_vault.hub_payment
    UNION ALL SELECT 'datalake_vault.link_payment_account', load_dts FROM datalake_vault.link_payment_account
    UNION ALL SELECT 'datalake_vault.sat_payment', load_dts FROM datalake_vault.sat_payment
    UNION ALL SELECT 'datalake_vault.hub_write_off', load_dts FROM datalake_vault.hub_write_off
    UNION ALL SELECT 'datalake_vault.link_write_off_account', load_dts FROM datalake_vault.link_write_off_account
    UNION ALL SELECT 'datalake_vault.sat_write_off', load_dts FROM datalake_vault.sat_write_off
    UNION ALL SELECT 'dunning_vault.hub_dunning_case', load_dts FROM dunning_vault.hub_dunning_case
    UNION ALL SELECT 'dunning_vault.link_dunning_case_account', load_dts FROM dunning_vault.link_dunning_case_account
    UNION ALL SELECT 'dunning_vault.sat_dunning_case', load_dts FROM dunning_vault.sat_dunning_case
    UNION ALL SELECT 'dunning_vault.sat_dunning_block', load_dts FROM dunning_vault.sat_dunning_block
) AS r
WHERE load_dts > :'started_at'::timestamptz + interval '5 minutes'
GROUP BY table_name
ORDER BY table_name

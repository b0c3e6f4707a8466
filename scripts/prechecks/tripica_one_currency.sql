-- All accounts, payments and charges are in euro: a sum over several currencies would have no meaning.
-- @segment  tripica.one_currency
-- @reads    vault
-- @severity error
-- @hint     Find out in Tripica why the rows are not in EUR. Another currency needs balances per currency first.
SELECT satellite, currency, count(*) AS versions, min(load_dts) AS first_loaded_at
FROM (
    SELECT 'datalake_vault.sat_account' AS satellite, currency, load_dts FROM datalake_vault.sat_account
    UNION ALL SELECT 'datalake_vault.sat_charge', currency, load_dts FROM datalake_vault.sat_charge
    UNION ALL SELECT 'datalake_vault.sat_payment', currency, load_dts FROM datalake_vault.sat_payment
    UNION ALL SELECT 'datalake_vault.sat_write_off', currency, load_dts FROM datalake_vault.sat_write_off
    UNION ALL SELECT 'dunning_vault.sat_dunning_case', currency, load_dts FROM dunning_vault.sat_dunning_case
) AS s
WHERE currency <> 'EUR' AND load_dts <= :'cutoff'::timestamptz
GROUP BY satellite, currency
ORDER BY satellite, currency

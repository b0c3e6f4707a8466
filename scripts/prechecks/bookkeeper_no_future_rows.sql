-- No row in the vaults of Bookkeeper has a load time after the start of this run; a difference between clocks of five
-- minutes is allowed. Such rows were loaded with a wrong clock or time zone, so the figures of their business date may
-- lack them.
-- @segment  bookkeeper.no_future_rows
-- @reads    vault
-- @severity error
-- @hint     Check the clock and the time zone of the load that wrote the rows, correct their load_dts, and run the date again.
SELECT table_name, count(*) AS rows, min(load_dts) AS first_load_dts, max(load_dts) AS last_load_dts
FROM (
    SELECT 'bookkeeper_vault.hub_business_partner' AS table_name, load_dts FROM bookkeeper_vault.hub_business_partner
    UNION ALL SELECT 'bookkeeper_vault.hub_document', load_dts FROM bookkeeper_vault.hub_document
    UNION ALL SELECT 'bookkeeper_vault.link_document_partner', load_dts FROM bookkeeper_vault.link_document_partner
    UNION ALL SELECT 'bookkeeper_vault.sat_document', load_dts FROM bookkeeper_vault.sat_document
    UNION ALL SELECT 'bookkeeper_vault.msat_document_line', load_dts FROM bookkeeper_vault.msat_document_line
    UNION ALL SELECT 'bookkeeper_vault.msat_journal_line', load_dts FROM bookkeeper_vault.msat_journal_line
    UNION ALL SELECT 'bookkeeper_vault.msat_tax_line', load_dts FROM bookkeeper_vault.msat_tax_line
) AS r
WHERE load_dts > :'started_at'::timestamptz + interval '5 minutes'
GROUP BY table_name
ORDER BY table_name

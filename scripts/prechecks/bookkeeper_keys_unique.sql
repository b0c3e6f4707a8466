-- Bookkeeper has no duplicate keys at the cut-off: each business key is in its hub once, and each document is linked
-- once. With a duplicate its amounts would count twice.
-- @segment  bookkeeper.keys_unique
-- @reads    vault
-- @severity error
-- @hint     Remove the duplicate row, and correct the load so that it inserts a key only if the hub or link does not have it; then run the date again.
SELECT table_name, key, problem, count(*) AS rows
FROM (
    SELECT 'bookkeeper_vault.hub_business_partner' AS table_name, h.partner_no AS key,
           'business key occurs more than once' AS problem
    FROM bookkeeper_vault.hub_business_partner AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'bookkeeper_vault.hub_document',
           concat_ws('/', h.company_code, h.fiscal_year, h.document_no), 'business key occurs more than once'
    FROM bookkeeper_vault.hub_document AS h WHERE h.load_dts <= :'cutoff'::timestamptz
    UNION ALL
    SELECT 'bookkeeper_vault.link_document_partner',
           concat_ws('/', h.company_code, h.fiscal_year, h.document_no), 'is linked more than once'
    FROM bookkeeper_vault.link_document_partner AS l JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
    WHERE l.load_dts <= :'cutoff'::timestamptz
) AS k
GROUP BY table_name, key, problem
HAVING count(*) > 1
ORDER BY table_name, key

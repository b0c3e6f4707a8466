-- Every key of Bookkeeper that is known at the cut-off is complete: it has attributes in its satellite, a partner (the
-- ghost partner for a document without a customer) and journal lines. Otherwise the exports would lack its rows without
-- a notice.
-- @segment  bookkeeper.hubs_complete
-- @reads    vault
-- @severity error
-- @hint     Load the missing rows, or find out why the load omitted them; then run the date again.
SELECT hub, business_key, load_dts, problem
FROM (
    SELECT 'bookkeeper_vault.hub_document' AS hub, concat_ws('/', h.company_code, h.fiscal_year, h.document_no) AS business_key,
           h.load_dts, 'no version in bookkeeper_vault.sat_document' AS problem
    FROM bookkeeper_vault.hub_document AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.sat_document AS o
                      WHERE o.document_hk = h.document_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.hub_document', concat_ws('/', h.company_code, h.fiscal_year, h.document_no),
           h.load_dts, 'no partner in bookkeeper_vault.link_document_partner'
    FROM bookkeeper_vault.hub_document AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.link_document_partner AS o
                      WHERE o.document_hk = h.document_hk AND o.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.hub_document', concat_ws('/', h.company_code, h.fiscal_year, h.document_no),
           h.load_dts, 'no journal line in bookkeeper_vault.msat_journal_line'
    FROM bookkeeper_vault.hub_document AS h
    WHERE h.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.msat_journal_line AS o
                      WHERE o.document_hk = h.document_hk AND o.load_dts <= :'cutoff'::timestamptz)
) AS incomplete
ORDER BY hub, business_key, problem

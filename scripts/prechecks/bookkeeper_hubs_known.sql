-- Every link and satellite row of Bookkeeper belongs to keys that are in their hub at the cut-off. Otherwise the
-- exports would lack its rows without a notice. The ghost partner, sixteen zero bytes, is in no hub.
-- @segment  bookkeeper.hubs_known
-- @reads    vault
-- @severity error
-- @hint     Load the missing hubs, or find out why the load omitted them; then run the date again.
SELECT table_name, hub, encode(hash_key, 'hex') AS hash_key, count(*) AS rows, min(load_dts) AS first_load_dts
FROM (
    SELECT 'bookkeeper_vault.sat_document' AS table_name, 'bookkeeper_vault.hub_document' AS hub,
           t.document_hk AS hash_key, t.load_dts
    FROM bookkeeper_vault.sat_document AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.hub_document AS h
                      WHERE h.document_hk = t.document_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.msat_document_line', 'bookkeeper_vault.hub_document', t.document_hk, t.load_dts
    FROM bookkeeper_vault.msat_document_line AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.hub_document AS h
                      WHERE h.document_hk = t.document_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.msat_journal_line', 'bookkeeper_vault.hub_document', t.document_hk, t.load_dts
    FROM bookkeeper_vault.msat_journal_line AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.hub_document AS h
                      WHERE h.document_hk = t.document_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.msat_tax_line', 'bookkeeper_vault.hub_document', t.document_hk, t.load_dts
    FROM bookkeeper_vault.msat_tax_line AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.hub_document AS h
                      WHERE h.document_hk = t.document_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.link_document_partner', 'bookkeeper_vault.hub_document', t.document_hk, t.load_dts
    FROM bookkeeper_vault.link_document_partner AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.hub_document AS h
                      WHERE h.document_hk = t.document_hk AND h.load_dts <= :'cutoff'::timestamptz)
    UNION ALL
    SELECT 'bookkeeper_vault.link_document_partner', 'bookkeeper_vault.hub_business_partner', t.partner_hk, t.load_dts
    FROM bookkeeper_vault.link_document_partner AS t
    WHERE t.load_dts <= :'cutoff'::timestamptz
      AND t.partner_hk <> decode(repeat('00', 16), 'hex')
      AND NOT EXISTS (SELECT FROM bookkeeper_vault.hub_business_partner AS h
                      WHERE h.partner_hk = t.partner_hk AND h.load_dts <= :'cutoff'::timestamptz)
) AS unknown
GROUP BY table_name, hub, hash_key
ORDER BY table_name, hub, hash_key

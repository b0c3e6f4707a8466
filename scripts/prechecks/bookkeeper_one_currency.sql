-- All documents are in euro: a sum over documents in several currencies would have no meaning.
-- @segment  bookkeeper.one_currency
-- @reads    vault
-- @severity error
-- @hint     Find out in SAP why the documents are not in EUR. Another currency needs balances per currency first.
SELECT 'bookkeeper_vault.sat_document' AS satellite, currency, count(*) AS versions, min(load_dts) AS first_loaded_at
FROM bookkeeper_vault.sat_document
WHERE currency <> 'EUR' AND load_dts <= :'cutoff'::timestamptz
GROUP BY currency
ORDER BY currency

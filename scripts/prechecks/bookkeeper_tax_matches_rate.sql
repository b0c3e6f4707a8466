-- Tax equals net amount times rate, within a cent, in each tax line of the newest set as of the cut-off.
-- @segment  bookkeeper.tax_matches_rate
-- @reads    vault
-- @severity error
-- @hint     Have the tax line corrected in SAP or loaded again; the check cannot tell which of the three numbers is wrong.
WITH newest AS (
    SELECT document_hk, max(load_dts) AS load_dts
    FROM bookkeeper_vault.msat_tax_line
    WHERE load_dts <= :'cutoff'::timestamptz
    GROUP BY document_hk
)
SELECT h.company_code, h.fiscal_year, h.document_no, l.line_no, l.tax_code, l.tax_rate, l.net_amount, l.tax_amount,
       l.tax_amount - round(l.net_amount * l.tax_rate / 100, 2) AS difference
FROM newest AS n
JOIN bookkeeper_vault.msat_tax_line AS l USING (document_hk, load_dts)
LEFT JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
WHERE abs(l.tax_amount - l.net_amount * l.tax_rate / 100) > 0.01
ORDER BY h.company_code, h.fiscal_year, h.document_no, l.line_no

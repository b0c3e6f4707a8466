-- In each charge's newest version as of the cut-off, tax equals net amount times rate, within a cent, and the gross
-- amount is net and tax.
-- @segment  tripica.tax_matches_rate
-- @reads    vault
-- @severity error
-- @hint     Have the charge corrected in Tripica or loaded again; the check cannot tell which of the numbers is wrong.
WITH newest AS (
    SELECT charge_hk, max(load_dts) AS load_dts
    FROM datalake_vault.sat_charge
    WHERE load_dts <= :'cutoff'::timestamptz
    GROUP BY charge_hk
)
SELECT h.charge_no, s.document_no, s.tax_rate, s.amount_net, s.amount_tax, s.amount_gross,
       s.amount_tax - round(s.amount_net * s.tax_rate / 100, 2) AS tax_difference,
       s.amount_gross - s.amount_net - s.amount_tax AS gross_difference
FROM newest AS n
JOIN datalake_vault.sat_charge AS s USING (charge_hk, load_dts)
LEFT JOIN datalake_vault.hub_charge AS h USING (charge_hk)
WHERE abs(s.amount_tax - s.amount_net * s.tax_rate / 100) > 0.01 OR s.amount_gross <> s.amount_net + s.amount_tax
ORDER BY h.charge_no

-- Debit equals credit in every journal document, in the newest set of its lines as of the cut-off.
-- @segment  bookkeeper.journal_balances
-- @reads    vault
-- @severity error
-- @hint     Have the document corrected in SAP or loaded again; the check cannot tell which line is wrong.
WITH newest AS (
    SELECT document_hk, max(load_dts) AS load_dts
    FROM bookkeeper_vault.msat_journal_line
    WHERE load_dts <= :'cutoff'::timestamptz
    GROUP BY document_hk
),
unbalanced AS (
    SELECT l.document_hk,
           coalesce(sum(l.amount) FILTER (WHERE l.debit_credit = 'S'), 0) AS debit,
           coalesce(sum(l.amount) FILTER (WHERE l.debit_credit = 'H'), 0) AS credit
    FROM newest AS n
    JOIN bookkeeper_vault.msat_journal_line AS l USING (document_hk, load_dts)
    GROUP BY l.document_hk
    HAVING sum(CASE l.debit_credit WHEN 'S' THEN l.amount WHEN 'H' THEN - l.amount END) IS DISTINCT FROM 0
)
SELECT h.company_code, h.fiscal_year, h.document_no, u.debit, u.credit, u.debit - u.credit AS difference
FROM unbalanced AS u
LEFT JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
ORDER BY h.company_code, h.fiscal_year, h.document_no

-- General ledger lines of SAP for one bucket: the lines of all documents that are posted up to the business date. Documents
-- of a customer lie in the customer's bucket, those without one (linked to the ghost partner, sixteen zero bytes) in bucket
-- 0. SAP marks a line S (Soll) for debit or H (Haben) for credit.
-- @segment bookkeeper.data_journal_entries
-- @reads   vault
-- @writes  data_journal_entries
INSERT INTO :"work".data_journal_entries (partition_no, business_date, company_code, fiscal_year, document_no, line_no, customer_no,
    document_type, posting_date, gl_account, currency, debit, credit, cost_center, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.company_code, h.fiscal_year, h.document_no, l.line_no, p.partner_no,
       s.document_type, s.posting_date, l.gl_account, s.currency,
       CASE l.debit_credit WHEN 'S' THEN l.amount ELSE 0 END, CASE l.debit_credit WHEN 'H' THEN l.amount ELSE 0 END,
       l.cost_center, l.load_dts AT TIME ZONE 'UTC'
FROM (
    SELECT partner_hk, partner_no FROM bookkeeper_vault.hub_business_partner
    UNION ALL
    SELECT decode('00000000000000000000000000000000', 'hex'), NULL
) AS p
JOIN bookkeeper_vault.link_document_partner AS dp USING (partner_hk)
JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
CROSS JOIN LATERAL (
    SELECT d.document_type, d.posting_date, d.currency
    FROM bookkeeper_vault.sat_document AS d
    WHERE d.document_hk = dp.document_hk AND d.load_dts <= :'cutoff'::timestamptz
    ORDER BY d.load_dts DESC
    LIMIT 1
) AS s
CROSS JOIN LATERAL (
    SELECT m.load_dts
    FROM bookkeeper_vault.msat_journal_line AS m
    WHERE m.document_hk = dp.document_hk AND m.load_dts <= :'cutoff'::timestamptz
    ORDER BY m.load_dts DESC
    LIMIT 1
) AS v
JOIN bookkeeper_vault.msat_journal_line AS l ON l.document_hk = dp.document_hk AND l.load_dts = v.load_dts
WHERE bda.bucket(p.partner_hk, :'partition_count'::integer) = :'partition'::integer
  AND dp.load_dts <= :'cutoff'::timestamptz AND s.posting_date <= :'business_date'::date

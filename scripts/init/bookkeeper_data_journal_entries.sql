-- General ledger lines of SAP for one bucket: the lines of all documents that are posted up to the business date.
-- Documents of a customer are in the customer's bucket, documents without one (linked to the ghost partner, sixteen
-- zero bytes) in bucket 0. SAP marks a line S (Soll) for debit or H (Haben) for credit.
-- @segment bookkeeper.data_journal_entries
-- @reads   vault
-- @writes  data_journal_entries
INSERT INTO :"work".data_journal_entries (partition_no, business_date, company_code, fiscal_year, document_no, line_no,
    customer_no, document_type, posting_date, gl_account, currency, debit, credit, cost_center, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.company_code, h.fiscal_year, h.document_no, l.line_no, d.partner_no,
       s.document_type, s.posting_date, l.gl_account, s.currency,
       CASE l.debit_credit WHEN 'S' THEN l.amount ELSE 0 END, CASE l.debit_credit WHEN 'H' THEN l.amount ELSE 0 END,
       l.cost_center, l.load_dts AT TIME ZONE 'UTC'
FROM (
    SELECT dp.document_hk, p.partner_no
    FROM (
        SELECT partner_hk, partner_no FROM bookkeeper_vault.hub_business_partner WHERE load_dts <= :'cutoff'::timestamptz
        UNION ALL
        SELECT decode('00000000000000000000000000000000', 'hex'), NULL
    ) AS p
    JOIN bookkeeper_vault.link_document_partner AS dp USING (partner_hk)
    WHERE bda.bucket(p.partner_hk, :'partition_count'::integer) = :'partition'::integer
      AND dp.load_dts <= :'cutoff'::timestamptz
    -- Sorted in the order of the indexes that are probed next, as for charges.
    ORDER BY dp.document_hk
    OFFSET 0
) AS d
CROSS JOIN LATERAL (
    SELECT u.company_code, u.fiscal_year, u.document_no
    FROM bookkeeper_vault.hub_document AS u
    WHERE u.document_hk = d.document_hk AND u.load_dts <= :'cutoff'::timestamptz
    LIMIT 1
) AS h
CROSS JOIN LATERAL (
    SELECT v.document_type, v.posting_date, v.currency
    FROM bookkeeper_vault.sat_document AS v
    WHERE v.document_hk = d.document_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    LIMIT 1
) AS s
CROSS JOIN LATERAL (
    -- The newest set of lines as of the cut-off: all lines of the newest load.
    SELECT v.line_no, v.gl_account, v.debit_credit, v.amount, v.cost_center, v.load_dts
    FROM bookkeeper_vault.msat_journal_line AS v
    WHERE v.document_hk = d.document_hk AND v.load_dts <= :'cutoff'::timestamptz
    ORDER BY v.load_dts DESC
    FETCH FIRST 1 ROW WITH TIES
) AS l
WHERE s.posting_date <= :'business_date'::date

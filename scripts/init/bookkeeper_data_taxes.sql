-- Tax lines of SAP for one bucket: those of all documents that are posted up to the business date. A line's tax is its net
-- amount times its rate, to within a cent.
-- @segment bookkeeper.data_taxes
-- @reads   vault
-- @writes  data_taxes
INSERT INTO :"work".data_taxes (partition_no, business_date, company_code, fiscal_year, document_no, line_no, customer_no,
    document_type, posting_date, currency, tax_code, tax_rate, net_amount, tax_amount, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, h.company_code, h.fiscal_year, h.document_no, l.line_no, p.partner_no,
       s.document_type, s.posting_date, s.currency, l.tax_code, l.tax_rate, l.net_amount, l.tax_amount, l.load_dts AT TIME ZONE 'UTC'
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
    FROM bookkeeper_vault.msat_tax_line AS m
    WHERE m.document_hk = dp.document_hk AND m.load_dts <= :'cutoff'::timestamptz
    ORDER BY m.load_dts DESC
    LIMIT 1
) AS v
JOIN bookkeeper_vault.msat_tax_line AS l ON l.document_hk = dp.document_hk AND l.load_dts = v.load_dts
WHERE bda.bucket(p.partner_hk, :'partition_count'::integer) = :'partition'::integer
  AND dp.load_dts <= :'cutoff'::timestamptz AND s.posting_date <= :'business_date'::date

-- Customer line items of SAP for one bucket: lines of all documents that are posted up to the business date. A document's
-- lines come as a set; the newest set as of the cut-off holds as a whole. Amounts are positive where the customer owes.
-- SAP knows documents some days before they are posted: those are kept aside, to explain charges that are not booked yet.
-- @segment bookkeeper.data_bookings
-- @reads   vault
-- @writes  data_bookings, base_data_bookings_ahead
WITH known AS MATERIALIZED (
    SELECT p.partner_no AS customer_no, h.company_code, h.fiscal_year, h.document_no, l.line_no, s.document_type,
           s.document_date, s.posting_date, l.due_date, s.reference, s.currency, l.amount, s.header_text, l.line_text, v.load_dts
    FROM bookkeeper_vault.hub_business_partner AS p
    JOIN bookkeeper_vault.link_document_partner AS dp USING (partner_hk)
    JOIN bookkeeper_vault.hub_document AS h USING (document_hk)
    CROSS JOIN LATERAL (
        SELECT d.document_type, d.document_date, d.posting_date, d.reference, d.currency, d.header_text
        FROM bookkeeper_vault.sat_document AS d
        WHERE d.document_hk = dp.document_hk AND d.load_dts <= :'cutoff'::timestamptz
        ORDER BY d.load_dts DESC
        LIMIT 1
    ) AS s
    CROSS JOIN LATERAL (
        SELECT m.load_dts
        FROM bookkeeper_vault.msat_document_line AS m
        WHERE m.document_hk = dp.document_hk AND m.load_dts <= :'cutoff'::timestamptz
        ORDER BY m.load_dts DESC
        LIMIT 1
    ) AS v
    JOIN bookkeeper_vault.msat_document_line AS l ON l.document_hk = dp.document_hk AND l.load_dts = v.load_dts
    WHERE bda.bucket(p.partner_hk, :'partition_count'::integer) = :'partition'::integer
      AND dp.load_dts <= :'cutoff'::timestamptz
),
ahead AS (
    INSERT INTO :"work".base_data_bookings_ahead (partition_no, customer_no, reference, currency, amount)
    SELECT :'partition'::integer, customer_no, reference, currency, amount
    FROM known
    WHERE posting_date > :'business_date'::date AND reference IS NOT NULL
)
INSERT INTO :"work".data_bookings (partition_no, business_date, company_code, fiscal_year, document_no, line_no, customer_no,
    document_type, document_date, posting_date, due_date, reference, currency, amount, header_text, line_text, loaded_at_utc)
SELECT :'partition'::integer, :'business_date'::date, company_code, fiscal_year, document_no, line_no, customer_no,
       document_type, document_date, posting_date, due_date, reference, currency, amount, header_text, line_text,
       load_dts AT TIME ZONE 'UTC'
FROM known
WHERE posting_date <= :'business_date'::date

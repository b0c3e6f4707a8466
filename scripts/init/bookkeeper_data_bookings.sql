-- Customer line items of SAP for one bucket: lines of all documents that are posted up to the business date. A
-- document's lines are a set; the newest set as of the cut-off is valid as a whole. An amount is positive if the
-- customer owes it. SAP has documents some days before their posting date; these are stored separately, to explain
-- charges that are not booked yet.
-- @segment bookkeeper.data_bookings
-- @reads   vault
-- @writes  data_bookings, base_data_bookings_ahead
WITH known AS MATERIALIZED (
    SELECT d.partner_no AS customer_no, h.company_code, h.fiscal_year, h.document_no, l.line_no, s.document_type, s.document_date,
           s.posting_date, l.due_date, s.reference, s.currency, l.amount, s.header_text, l.line_text, l.load_dts
    FROM (
        SELECT dp.document_hk, p.partner_no
        FROM bookkeeper_vault.hub_business_partner AS p
        JOIN bookkeeper_vault.link_document_partner AS dp USING (partner_hk)
        WHERE bda.bucket(p.partner_hk, :'partition_count'::integer) = :'partition'::integer
          AND p.load_dts <= :'cutoff'::timestamptz AND dp.load_dts <= :'cutoff'::timestamptz
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
        SELECT v.document_type, v.document_date, v.posting_date, v.reference, v.currency, v.header_text
        FROM bookkeeper_vault.sat_document AS v
        WHERE v.document_hk = d.document_hk AND v.load_dts <= :'cutoff'::timestamptz
        ORDER BY v.load_dts DESC
        LIMIT 1
    ) AS s
    CROSS JOIN LATERAL (
        -- The newest set of lines as of the cut-off: all lines of the newest load.
        SELECT v.line_no, v.amount, v.due_date, v.line_text, v.load_dts
        FROM bookkeeper_vault.msat_document_line AS v
        WHERE v.document_hk = d.document_hk AND v.load_dts <= :'cutoff'::timestamptz
        ORDER BY v.load_dts DESC
        FETCH FIRST 1 ROW WITH TIES
    ) AS l
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

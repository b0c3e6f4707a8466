-- SAP's customer line items that are posted up to the business date.
-- @segment bookkeeper.bookings
-- @needs   bookkeeper.data_bookings
-- @reads   run
-- @key     company_code, fiscal_year, document_no, line_no
-- @totals  amount by currency
SELECT company_code, fiscal_year, document_no, line_no, business_date, customer_no, document_type, document_date, posting_date,
       due_date, reference, currency, amount, header_text, line_text, loaded_at_utc
FROM :"work".data_bookings
WHERE partition_no = :'partition'::integer
ORDER BY company_code COLLATE "C", fiscal_year, document_no COLLATE "C", line_no

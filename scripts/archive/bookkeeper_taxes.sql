-- SAP's tax lines of documents that are posted up to the business date.
-- @segment bookkeeper.taxes
-- @needs   bookkeeper.data_taxes
-- @reads   run
-- @key     company_code, fiscal_year, document_no, line_no
-- @totals  net_amount, tax_amount by currency
SELECT company_code, fiscal_year, document_no, line_no, business_date, customer_no, document_type, posting_date, currency, tax_code,
       tax_rate, net_amount, tax_amount, loaded_at_utc
FROM :"work".data_taxes
WHERE partition_no = :'partition'::integer
ORDER BY company_code COLLATE "C", fiscal_year, document_no COLLATE "C", line_no

-- SAP's journal: general ledger lines that are posted up to the business date, debit and credit in columns of their own.
-- @segment bookkeeper.journal_entries
-- @needs   bookkeeper.data_journal_entries
-- @reads   run
-- @key     company_code, fiscal_year, document_no, line_no
-- @totals  debit, credit by currency
SELECT company_code, fiscal_year, document_no, line_no, business_date, customer_no, document_type, posting_date, gl_account, currency,
       debit, credit, cost_center, loaded_at_utc
FROM :"work".data_journal_entries
WHERE partition_no = :'partition'::integer
ORDER BY company_code COLLATE "C", fiscal_year, document_no COLLATE "C", line_no

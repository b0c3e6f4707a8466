-- Write-offs dated up to the business date: one row each, reversed ones included.
-- @segment tripica.write_offs
-- @needs   tripica.data_write_offs
-- @reads   run
-- @key     write_off_no
-- @totals  amount by currency
SELECT write_off_no, business_date, customer_no, account_no, document_no, write_off_date, reason, status, currency, amount,
       loaded_at_utc
FROM :"work".data_write_offs
WHERE partition_no = :'partition'::integer
ORDER BY write_off_no COLLATE "C"

-- Dunning cases begun up to the business date, closed ones included.
-- @segment tripica.dunning
-- @needs   tripica.data_dunning
-- @reads   run
-- @key     case_no
-- @totals  amount_dunned, fee by currency
SELECT case_no, business_date, customer_no, account_no, document_no, status, dunning_level, level_date, currency, amount_dunned,
       fee, is_blocked, block_reason, blocked_from, blocked_until, loaded_at_utc
FROM :"work".data_dunning
WHERE partition_no = :'partition'::integer
ORDER BY case_no COLLATE "C"

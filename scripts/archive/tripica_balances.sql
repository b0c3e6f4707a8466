-- Account balances with the ageing of the overdue amount: one row for each account.
-- @segment tripica.balances
-- @needs   tripica.data_balances
-- @reads   run
-- @key     account_no
-- @totals  charged, paid, written_off, open_amount, not_due, overdue, overdue_0_30, overdue_31_60, overdue_61_90, overdue_over_90, credit by currency
SELECT account_no, business_date, customer_no, currency, charged, paid, written_off, open_amount, not_due, overdue, overdue_0_30,
       overdue_31_60, overdue_61_90, overdue_over_90, credit, oldest_due_date
FROM :"work".data_balances
WHERE partition_no = :'partition'::integer
ORDER BY account_no COLLATE "C"

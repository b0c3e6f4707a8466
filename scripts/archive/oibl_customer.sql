-- The open-item balance list: one row for each customer of Tripica or SAP.
-- @segment oibl.customer
-- @needs   oibl.customer_list
-- @reads   run
-- @key     customer_no
-- @totals  charged, paid, written_off, open_amount, overdue, credit, dunning_fees, booked, difference, not_booked, booked_later, not_charged, amount_differs by currency
SELECT customer_no, business_date, customer_name, segment, currency, accounts, charged, paid, written_off, open_amount, not_due,
       overdue, overdue_0_30, overdue_31_60, overdue_61_90, overdue_over_90, credit, open_dunning_cases, highest_dunning_level,
       dunning_fees, booked, difference, not_booked,
       booked_later, not_charged, amount_differs, difference_reason
FROM :"work".oibl_customer
WHERE partition_no = :'partition'::integer
ORDER BY customer_no COLLATE "C"

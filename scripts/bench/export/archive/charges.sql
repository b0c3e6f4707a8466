-- Five million rows as they come from one table, to measure the way of a row.
-- @segment bench.charges
-- @split   none
-- @reads   vault
-- @key     charge_id
-- @totals  amount_net, amount_gross by currency
SELECT charge_id, customer_no, currency, amount_net, amount_gross, tax_rate, charge_type, booking_date, due_date, description
FROM bench_vault.charge
ORDER BY charge_id

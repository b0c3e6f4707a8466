-- Billing charges: one row for each item of a billing document dated up to the business date.
-- @segment tripica.charges
-- @needs   tripica.data_charges
-- @reads   run
-- @key     charge_no
-- @totals  amount_net, amount_tax, amount_gross by currency
SELECT charge_no, business_date, document_no, customer_no, account_no, contract_no, charge_type, status, document_date, due_date,
       currency, tax_rate, amount_net, amount_tax, amount_gross, cancels_charge_no, description, loaded_at_utc
FROM :"work".data_charges
WHERE partition_no = :'partition'::integer
ORDER BY charge_no COLLATE "C"

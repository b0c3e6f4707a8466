-- Payments up to the business date that were not returned.
-- @table base_data_payments
CREATE TABLE :"work".base_data_payments (
    partition_no integer NOT NULL,
    payment_no   text NOT NULL,
    account_no   text NOT NULL,
    currency     char(3) NOT NULL,
    amount       numeric(14,2) NOT NULL
) PARTITION BY LIST (partition_no);

-- All accounts known at the cut-off, with their customer.
-- @table base_data_accounts
CREATE TABLE :"work".base_data_accounts (
    partition_no integer NOT NULL,
    account_no   text NOT NULL,
    customer_no  text NOT NULL,
    currency     char(3) NOT NULL
) PARTITION BY LIST (partition_no);

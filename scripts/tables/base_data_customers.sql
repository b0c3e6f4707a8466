-- All customers known at the cut-off, with the newest version of their attributes.
-- @table base_data_customers
CREATE TABLE :"work".base_data_customers (
    partition_no  integer NOT NULL,
    customer_no   text NOT NULL,
    customer_name text NOT NULL,
    segment       text NOT NULL
) PARTITION BY LIST (partition_no);

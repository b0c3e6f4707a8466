-- SAP's business partners known at the cut-off.
-- @table base_data_partners
CREATE TABLE :"work".base_data_partners (
    partition_no integer NOT NULL,
    customer_no  text NOT NULL
) PARTITION BY LIST (partition_no);

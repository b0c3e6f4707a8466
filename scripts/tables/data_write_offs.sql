-- Write-offs up to the business date.
-- @table data_write_offs
-- @view  data_write_offs
CREATE TABLE :"work".data_write_offs (
    partition_no   integer NOT NULL,
    business_date  date NOT NULL,
    write_off_no   text NOT NULL,
    customer_no    text NOT NULL,
    account_no     text NOT NULL,
    document_no    text,
    write_off_date date NOT NULL,
    reason         text NOT NULL,
    status         text NOT NULL,
    currency       char(3) NOT NULL,
    amount         numeric(14,2) NOT NULL,
    loaded_at_utc  timestamp NOT NULL
) PARTITION BY LIST (partition_no);

-- SAP's customer line items that are posted up to the business date.
-- @table data_bookings
-- @view  data_bookings
CREATE TABLE :"work".data_bookings (
    partition_no  integer NOT NULL,
    business_date date NOT NULL,
    company_code  text NOT NULL,
    fiscal_year   integer NOT NULL,
    document_no   text NOT NULL,
    line_no       integer NOT NULL,
    customer_no   text NOT NULL,
    document_type text NOT NULL,
    document_date date NOT NULL,
    posting_date  date NOT NULL,
    due_date      date NOT NULL,
    reference     text,
    currency      char(3) NOT NULL,
    amount        numeric(14,2) NOT NULL,
    header_text   text,
    line_text     text,
    loaded_at_utc timestamp NOT NULL
) PARTITION BY LIST (partition_no);

-- SAP's tax lines of documents that are posted up to the business date.
-- @table data_taxes
-- @view  data_taxes
CREATE TABLE :"work".data_taxes (
    partition_no  integer NOT NULL,
    business_date date NOT NULL,
    company_code  text NOT NULL,
    fiscal_year   integer NOT NULL,
    document_no   text NOT NULL,
    line_no       integer NOT NULL,
    customer_no   text,
    document_type text NOT NULL,
    posting_date  date NOT NULL,
    currency      char(3) NOT NULL,
    tax_code      text NOT NULL,
    tax_rate      numeric(5,2) NOT NULL,
    net_amount    numeric(14,2) NOT NULL,
    tax_amount    numeric(14,2) NOT NULL,
    loaded_at_utc timestamp NOT NULL
) PARTITION BY LIST (partition_no);

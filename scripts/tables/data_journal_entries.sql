-- SAP's journal: one row for each general ledger line that is posted up to the business date.
-- @table data_journal_entries
-- @view  data_journal_entries
CREATE TABLE :"work".data_journal_entries (
    partition_no  integer NOT NULL,
    business_date date NOT NULL,
    company_code  text NOT NULL,
    fiscal_year   integer NOT NULL,
    document_no   text NOT NULL,
    line_no       integer NOT NULL,
    customer_no   text,
    document_type text NOT NULL,
    posting_date  date NOT NULL,
    gl_account    text NOT NULL,
    currency      char(3) NOT NULL,
    debit         numeric(14,2) NOT NULL,
    credit        numeric(14,2) NOT NULL,
    cost_center   text,
    loaded_at_utc timestamp NOT NULL
) PARTITION BY LIST (partition_no);

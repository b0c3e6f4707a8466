-- Dunning cases: one row for each case that was begun up to the business date.
-- @table data_dunning
-- @view  data_dunning
CREATE TABLE :"work".data_dunning (
    partition_no  integer NOT NULL,
    business_date date NOT NULL,
    case_no       text NOT NULL,
    customer_no   text NOT NULL,
    account_no    text NOT NULL,
    document_no   text NOT NULL,
    status        text NOT NULL,
    dunning_level integer NOT NULL,
    level_date    date NOT NULL,
    currency      char(3) NOT NULL,
    amount_dunned numeric(14,2) NOT NULL,
    fee           numeric(14,2) NOT NULL,
    is_blocked    boolean NOT NULL,
    block_reason  text,
    blocked_from  date,
    blocked_until date,
    loaded_at_utc timestamp NOT NULL
) PARTITION BY LIST (partition_no);

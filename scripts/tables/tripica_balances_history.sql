-- Type 2 history of the account balances: the reported content and its business dates. A row is valid from `valid_from`
-- up to, but not including, `valid_to`; a row without `valid_to` is valid until other content is reported. Between two
-- reported dates the content of the earlier one is valid.
-- @table report_oibl.tripica_balances_history
CREATE TABLE IF NOT EXISTS report_oibl.tripica_balances_history (
    client_id       text NOT NULL,
    environment     text NOT NULL,
    account_no      text NOT NULL,
    valid_from      date NOT NULL,
    valid_to        date,
    content_hash    bytea NOT NULL,
    customer_no     text NOT NULL,
    currency        char(3) NOT NULL,
    charged         numeric(16,2) NOT NULL,
    paid            numeric(16,2) NOT NULL,
    written_off     numeric(16,2) NOT NULL,
    open_amount     numeric(16,2) NOT NULL,
    not_due         numeric(16,2) NOT NULL,
    overdue         numeric(16,2) NOT NULL,
    overdue_0_30    numeric(16,2) NOT NULL,
    overdue_31_60   numeric(16,2) NOT NULL,
    overdue_61_90   numeric(16,2) NOT NULL,
    overdue_over_90 numeric(16,2) NOT NULL,
    credit          numeric(16,2) NOT NULL,
    oldest_due_date date,
    PRIMARY KEY (client_id, environment, account_no, valid_from),
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (client_id WITH =, environment WITH =, account_no WITH =, daterange(valid_from, valid_to) WITH &&)
);

-- Account balances with the ageing of the overdue amount: one row for each account.
-- @table data_balances
-- @view  data_balances
CREATE TABLE :"work".data_balances (
    partition_no     integer NOT NULL,
    business_date    date NOT NULL,
    account_no       text NOT NULL,
    customer_no      text NOT NULL,
    currency         char(3) NOT NULL,
    charged          numeric(16,2) NOT NULL,
    paid             numeric(16,2) NOT NULL,
    written_off      numeric(16,2) NOT NULL,
    open_amount      numeric(16,2) NOT NULL,
    not_due          numeric(16,2) NOT NULL,
    overdue          numeric(16,2) NOT NULL,
    overdue_0_30     numeric(16,2) NOT NULL,
    overdue_31_60    numeric(16,2) NOT NULL,
    overdue_61_90    numeric(16,2) NOT NULL,
    overdue_over_90  numeric(16,2) NOT NULL,
    credit           numeric(16,2) NOT NULL,
    oldest_due_date  date
) PARTITION BY LIST (partition_no);

-- Billing charges: one row for each item of a billing document.
-- @table data_charges
-- @view  data_charges
CREATE TABLE :"work".data_charges (
    partition_no      integer NOT NULL,
    business_date     date NOT NULL,
    charge_no         text NOT NULL,
    document_no       text NOT NULL,
    customer_no       text NOT NULL,
    account_no        text NOT NULL,
    contract_no       text NOT NULL,
    charge_type       text NOT NULL,
    status            text NOT NULL,
    document_date     date NOT NULL,
    due_date          date NOT NULL,
    currency          char(3) NOT NULL,
    tax_rate          numeric(5,2) NOT NULL,
    amount_net        numeric(14,2) NOT NULL,
    amount_tax        numeric(14,2) NOT NULL,
    amount_gross      numeric(14,2) NOT NULL,
    cancels_charge_no text,
    description       text,
    loaded_at_utc     timestamp NOT NULL
) PARTITION BY LIST (partition_no);

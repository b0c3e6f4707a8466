-- The open-item balance list: one row for each customer of either system.
-- @table oibl_customer
-- @view  oibl_customer
CREATE TABLE :"work".oibl_customer (
    partition_no          integer NOT NULL,
    business_date         date NOT NULL,
    customer_no           text NOT NULL,
    customer_name         text,
    segment               text,
    currency              char(3) NOT NULL,
    accounts              integer NOT NULL,
    charged               numeric(16,2) NOT NULL,
    paid                  numeric(16,2) NOT NULL,
    written_off           numeric(16,2) NOT NULL,
    open_amount           numeric(16,2) NOT NULL,
    not_due               numeric(16,2) NOT NULL,
    overdue               numeric(16,2) NOT NULL,
    overdue_0_30          numeric(16,2) NOT NULL,
    overdue_31_60         numeric(16,2) NOT NULL,
    overdue_61_90         numeric(16,2) NOT NULL,
    overdue_over_90       numeric(16,2) NOT NULL,
    credit                numeric(16,2) NOT NULL,
    open_dunning_cases    integer NOT NULL,
    highest_dunning_level integer NOT NULL,
    dunning_fees          numeric(16,2) NOT NULL,
    booked                numeric(16,2) NOT NULL,
    difference            numeric(16,2) NOT NULL,
    not_booked            numeric(16,2) NOT NULL,
    booked_later          numeric(16,2) NOT NULL,
    not_charged           numeric(16,2) NOT NULL,
    amount_differs        numeric(16,2) NOT NULL,
    difference_reason     text NOT NULL
) PARTITION BY LIST (partition_no);

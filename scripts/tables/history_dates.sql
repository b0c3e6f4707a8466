-- The business dates that each history contains, and the run that reported each of them.
-- @table report_oibl.history_dates
CREATE TABLE IF NOT EXISTS report_oibl.history_dates (
    history_table text NOT NULL,
    client_id     text NOT NULL,
    environment   text NOT NULL,
    business_date date NOT NULL,
    run_id        text NOT NULL,
    PRIMARY KEY (history_table, client_id, environment, business_date)
);

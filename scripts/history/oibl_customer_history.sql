-- Type 2 history of the open-item balance list, `oibl.customer`: see scripts/ledger/record_history.sql.
-- @segment oibl.customer_history
-- @reads   run
-- @writes  report_oibl.oibl_customer_history, report_oibl.history_dates
SELECT bda.record_history(
    p_source => (:'work' || '.oibl_customer')::regclass, p_history => 'report_oibl.oibl_customer_history'::regclass,
    p_key => ARRAY['customer_no'], p_client_id => :'client_id', p_environment => :'environment',
    p_business_date => :'business_date'::date, p_run_id => :'run_id', p_history_days => :'history_days'::integer)

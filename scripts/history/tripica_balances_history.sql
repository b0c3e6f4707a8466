-- Type 2 history of the account balances, `tripica.balances`: see scripts/ledger/record_history.sql.
-- @segment tripica.balances_history
-- @reads   run
-- @writes  report_oibl.tripica_balances_history, report_oibl.history_dates
SELECT bda.record_history(
    p_source => (:'work' || '.data_balances')::regclass, p_history => 'report_oibl.tripica_balances_history'::regclass,
    p_key => ARRAY['account_no'], p_client_id => :'client_id', p_environment => :'environment',
    p_business_date => :'business_date'::date, p_run_id => :'run_id', p_history_days => :'history_days'::integer)

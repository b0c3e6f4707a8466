-- Cancels the open jobs of a run, in the transaction that ends the run: the claim's index no longer contains them, and
-- workers that run them lose their claims. A worker's session may still commit a result, which is never read.
CREATE OR REPLACE FUNCTION bda.cancel_jobs(p_run_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM bda.settle(p_run_id);
    -- Rows are locked in the same order as by bda.renew, so that the two cannot deadlock.
    PERFORM FROM bda.job AS j
    WHERE j.run_id = p_run_id AND j.state IN ('blocked', 'ready', 'running') ORDER BY j.job_id FOR NO KEY UPDATE;
    UPDATE bda.attempt AS a
    SET outcome = 'lost', code = 'run_ended', message = 'the run has ended', ended_at = pg_catalog.clock_timestamp()
    FROM bda.job AS j
    WHERE j.run_id = p_run_id AND j.state = 'running' AND a.job_id = j.job_id AND a.attempt = j.attempt
      AND a.outcome IS NULL;
    UPDATE bda.job AS j
    SET state = 'cancelled', lease_until = NULL, not_before = NULL, backend_pid = NULL, backend_start = NULL
    WHERE j.run_id = p_run_id AND j.state IN ('blocked', 'ready', 'running');
END
$$;

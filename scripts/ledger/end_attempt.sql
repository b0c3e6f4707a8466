-- Ends an attempt without a result. Returns false and changes nothing if the attempt no longer holds the claim.
-- Afterwards no session of an earlier attempt can complete the job. p_outcome is retry, rejected or interrupted; a
-- retry without attempts left fails the job.
CREATE OR REPLACE FUNCTION bda.end_attempt(
    p_job_id text, p_attempt integer, p_outcome text, p_code text, p_message text, p_hint text,
    p_retry_after_seconds double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    ended bda.job;
BEGIN
    IF NOT EXISTS (SELECT FROM bda.job AS j WHERE j.job_id = p_job_id AND j.attempt = p_attempt AND j.state = 'running') THEN
        RETURN false;
    END IF;
    IF NOT bda.end_sessions(p_job_id, p_attempt + 1, 5000) THEN
        RAISE EXCEPTION 'a session that tried job % has not ended within 5 seconds', p_job_id USING ERRCODE = '55006';
    END IF;
    UPDATE bda.job AS j
    SET state = CASE WHEN p_outcome = 'rejected' THEN 'failed'
                     WHEN p_outcome = 'retry' AND j.attempt - j.interruptions >= r.max_attempts THEN 'failed'
                     ELSE 'ready' END,
        interruptions = j.interruptions + CASE WHEN p_outcome = 'interrupted' THEN 1 ELSE 0 END,
        not_before = CASE WHEN p_outcome = 'retry'
                          THEN pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_retry_after_seconds) END,
        published_at = NULL, lease_until = NULL, backend_pid = NULL, backend_start = NULL
    FROM bda.run AS r
    WHERE j.job_id = p_job_id AND j.attempt = p_attempt AND j.state = 'running' AND r.run_id = j.run_id
      AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
    RETURNING j.* INTO ended;
    IF ended.job_id IS NULL THEN
        RETURN false;
    END IF;
    UPDATE bda.attempt AS a
    SET outcome = p_outcome, code = p_code, message = p_message, hint = p_hint, ended_at = pg_catalog.clock_timestamp()
    WHERE a.job_id = p_job_id AND a.attempt = p_attempt;
    RETURN true;
END
$$;

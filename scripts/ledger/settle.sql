-- Marks the jobs of a run that have a result as done, and their attempts as ended. The caller's transaction includes
-- this.
CREATE OR REPLACE FUNCTION bda.settle(p_run_id text) RETURNS void LANGUAGE sql AS $$
    WITH settled AS (
        UPDATE bda.job AS j SET state = 'done', lease_until = NULL, backend_pid = NULL, backend_start = NULL,
               rows_so_far = d.rows
        FROM bda.result AS d
        WHERE j.run_id = p_run_id AND j.state <> 'done' AND d.job_id = j.job_id
        RETURNING j.job_id, d.attempt, d.finished_at
    )
    UPDATE bda.attempt AS a
    SET outcome = CASE WHEN a.attempt = s.attempt THEN 'completed' ELSE 'lost' END,
        code = CASE WHEN a.attempt <> s.attempt THEN 'done_before' END,
        message = CASE WHEN a.attempt <> s.attempt THEN 'another attempt had completed the job' END,
        ended_at = s.finished_at
    FROM settled AS s WHERE a.job_id = s.job_id AND (a.attempt = s.attempt OR a.outcome IS NULL)
$$;

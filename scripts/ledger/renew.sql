-- Renews the leases of a worker's running attempts and records their progress. Returns the attempts that still hold
-- their jobs. Rows are locked in the order of job ids, as by bda.cancel_jobs.
CREATE OR REPLACE FUNCTION bda.renew(
    p_job_ids text[], p_attempts integer[], p_rows bigint[], p_lease_seconds integer
) RETURNS TABLE (job_id text, attempt integer) LANGUAGE sql AS $$
    WITH mine AS (
        SELECT j.job_id, j.attempt, m.rows
        FROM unnest(p_job_ids, p_attempts, p_rows) AS m (job_id, attempt, rows)
        JOIN bda.job AS j ON j.job_id = m.job_id AND j.attempt = m.attempt
        JOIN bda.run AS r ON r.run_id = j.run_id
        WHERE j.state = 'running' AND r.state = 'running'
        ORDER BY j.job_id FOR NO KEY UPDATE OF j
    )
    UPDATE bda.job AS j
    SET lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_seconds),
        rows_so_far = m.rows
    FROM mine AS m WHERE j.job_id = m.job_id
    RETURNING j.job_id, j.attempt
$$;

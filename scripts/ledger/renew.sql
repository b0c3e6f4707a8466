-- Renews the leases of a worker's running attempts and notes their progress. Returns those that it still holds.
CREATE OR REPLACE FUNCTION bda.renew(
    p_job_ids text[], p_attempts integer[], p_rows bigint[], p_lease_seconds integer
) RETURNS TABLE (job_id text, attempt integer) LANGUAGE sql AS $$
    UPDATE bda.job AS j
    SET lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_seconds),
        rows_so_far = mine.rows
    FROM unnest(p_job_ids, p_attempts, p_rows) AS mine (job_id, attempt, rows), bda.run AS r
    WHERE j.job_id = mine.job_id AND j.attempt = mine.attempt AND j.state = 'running'
      AND r.run_id = j.run_id AND r.state = 'running'
    RETURNING j.job_id, j.attempt
$$;

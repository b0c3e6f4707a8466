-- Returns the jobs with a due request, longest expected time first, and marks the requests as published. The request of
-- a job is due when the job has become ready or its backoff has ended. To wake the workers, it is also due every few
-- seconds while the lease of the job has expired, even if the job was claimed before its request was published.
CREATE OR REPLACE FUNCTION bda.take_due_requests(
    p_run_id text, p_owner_number bigint, p_again_seconds integer
) RETURNS TABLE (job_id text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    RETURN QUERY
    WITH due AS (
        UPDATE bda.job AS j SET published_at = pg_catalog.clock_timestamp()
        WHERE j.run_id = p_run_id
          AND ((j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp())
                AND j.published_at IS NULL)
               OR (j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()
                   AND (j.published_at IS NULL
                        OR j.published_at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => p_again_seconds))))
        RETURNING j.job_id, j.expected_seconds
    )
    SELECT d.job_id FROM due AS d ORDER BY d.expected_seconds DESC, d.job_id;
END
$$;

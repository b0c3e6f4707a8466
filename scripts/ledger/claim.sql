-- Claims one job for a worker's session, or returns no row if no job is claimable. Claims the named job, unless a
-- claimable job is expected to take more than twice as long; without a name, claims the claimable job with the longest
-- expected time. The caller commits at once: from then on the attempt counts, even if its worker ends. The attempt's
-- row names the session.
CREATE OR REPLACE FUNCTION bda.claim(
    p_job_id text, p_client_id text, p_environment text, p_worker_id text,
    p_backend_pid integer, p_backend_start timestamptz, p_lease_seconds integer
) RETURNS TABLE (
    job_id text, run_id text, segment text, partition_no integer, page_from bigint, page_to bigint, attempt integer,
    attempts_left integer, former_pid integer, former_start timestamptz, former_worker_id text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found_job  bda.job;
    longer_job bda.job;
    -- Only a job with a longer expected time than this is claimed instead of the named job.
    least      double precision := '-infinity';
    allowed    integer;
    is_taken_over boolean;
BEGIN
    IF p_job_id IS NOT NULL THEN
        SELECT j.* INTO found_job
        FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
        WHERE j.job_id = p_job_id AND r.state = 'running' AND r.graph_at IS NOT NULL
          AND r.client_id = p_client_id AND r.environment = p_environment
          AND ((j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp()))
               OR (j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()))
          AND j.attempt - j.interruptions < r.max_attempts
          AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
        FOR NO KEY UPDATE OF j SKIP LOCKED;
        -- A job with an expired lease has waited long enough and is claimed itself.
        IF found_job.job_id IS NULL OR found_job.state = 'running' THEN
            least := 'infinity';
        ELSE
            least := 2 * found_job.expected_seconds;
        END IF;
    END IF;
    SELECT j.* INTO longer_job
    FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
    WHERE j.state IN ('ready', 'running') AND j.expected_seconds > least AND r.state = 'running' AND r.graph_at IS NOT NULL
      AND r.client_id = p_client_id AND r.environment = p_environment
      AND ((j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp()))
           OR (j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()))
      AND j.attempt - j.interruptions < r.max_attempts
      AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
    ORDER BY j.expected_seconds DESC, j.job_id
    LIMIT 1
    FOR NO KEY UPDATE OF j SKIP LOCKED;
    IF longer_job.job_id IS NOT NULL THEN
        found_job := longer_job;
    END IF;
    IF found_job.job_id IS NULL THEN
        RETURN;
    END IF;
    is_taken_over := found_job.state = 'running';
    IF is_taken_over THEN
        UPDATE bda.attempt AS a SET outcome = 'lost', code = 'lease_expired', ended_at = pg_catalog.clock_timestamp(),
               message = 'the lease ran out and another worker took the job over'
        WHERE a.job_id = found_job.job_id AND a.attempt = found_job.attempt AND a.outcome IS NULL;
    END IF;
    UPDATE bda.job AS j
    SET state = 'running', attempt = j.attempt + 1, worker_id = p_worker_id, rows_so_far = NULL, not_before = NULL,
        lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_seconds),
        backend_pid = p_backend_pid, backend_start = p_backend_start
    WHERE j.job_id = found_job.job_id;
    INSERT INTO bda.attempt (job_id, attempt, worker_id, backend_pid, backend_start)
    VALUES (found_job.job_id, found_job.attempt + 1, p_worker_id, p_backend_pid, p_backend_start);
    SELECT r.max_attempts INTO allowed FROM bda.run AS r WHERE r.run_id = found_job.run_id;
    RETURN QUERY SELECT found_job.job_id, found_job.run_id, found_job.segment, found_job.partition_no,
        found_job.page_from, found_job.page_to, found_job.attempt + 1,
        allowed - (found_job.attempt + 1 - found_job.interruptions),
        CASE WHEN is_taken_over THEN found_job.backend_pid END,
        CASE WHEN is_taken_over THEN found_job.backend_start END,
        CASE WHEN is_taken_over THEN found_job.worker_id END;
END
$$;

-- A job is not completed by a session of a former attempt, once another attempt has begun or the job has failed; and a long
-- job does not wait behind short ones.
--
-- Until now a take-over ended the session of the last attempt only. When that attempt's worker had died before it could end
-- the session of the attempt before, a frozen worker's transaction outlived both. And a session whose client had lost it, or
-- whose lease had run out in the last attempt, could complete a job that had already been recorded as failed.
--
-- Whose request came first was taken first. A request that was lost, or lay behind others of a busy worker, could so leave
-- the longest job of a run to the end.

ALTER TABLE bda.attempt ADD COLUMN backend_pid integer, ADD COLUMN backend_start timestamptz;
COMMENT ON COLUMN bda.attempt.backend_pid IS 'The session that did the work; with backend_start it is the same one still.';

UPDATE bda.attempt AS a SET backend_pid = j.backend_pid, backend_start = j.backend_start
FROM bda.job AS j WHERE j.job_id = a.job_id AND j.attempt = a.attempt;

-- Ends the sessions of the attempts at a job before the numbered one that are still there, and waits for each until it is
-- gone: what they have not committed by then, they never will. False: one is still there after the time. The sessions of a
-- job that is done are left alone: they may be doing other jobs by now.
CREATE FUNCTION bda.end_sessions(p_job_id text, p_before integer, p_wait_milliseconds bigint) RETURNS boolean
LANGUAGE plpgsql SET client_min_messages = error AS $$
DECLARE
    former   record;
    are_gone boolean := true;
BEGIN
    IF EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = p_job_id) THEN
        RETURN true;
    END IF;
    FOR former IN
        SELECT DISTINCT a.backend_pid, a.backend_start
        FROM bda.attempt AS a
        JOIN pg_catalog.pg_stat_activity AS s ON s.pid = a.backend_pid AND s.backend_start = a.backend_start
        WHERE a.job_id = p_job_id AND a.attempt < p_before AND a.backend_pid <> pg_catalog.pg_backend_pid()
    LOOP
        are_gone := bda.end_backend(former.backend_pid, former.backend_start, p_wait_milliseconds) AND are_gone;
    END LOOP;
    RETURN are_gone;
END
$$;

-- Claims one job for a worker's session, or none: the named one, unless one waits that is expected to take more than twice as
-- long; without a name the one that is expected to take longest among all that can be had. Committed at once: from then on
-- the attempt counts, also when its worker dies. The attempt's row says which session it is.
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
    -- Only a job that is expected to take longer than this goes before the named one.
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
        -- One whose lease ran out has waited long enough.
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

-- Ends an attempt without a result. Guarded by attempt: who lost the claim changes nothing (false). No session that has
-- tried the job can complete it afterwards. p_outcome: retry, rejected or interrupted. A retry without attempts left is a
-- failure.
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

-- The coordinator's look at the ledger: settles what is done, gives up what has no attempts left and no session any more
-- that could complete it, readies what waits for nothing any more. Returns how many jobs are in each state.
CREATE OR REPLACE FUNCTION bda.advance(p_run_id text, p_owner_number bigint) RETURNS TABLE (state text, jobs bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    last record;
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
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
    FROM settled AS s WHERE a.job_id = s.job_id AND (a.attempt = s.attempt OR a.outcome IS NULL);

    FOR last IN
        SELECT j.job_id, j.attempt FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
        WHERE j.run_id = p_run_id AND j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()
          AND j.attempt - j.interruptions >= r.max_attempts
    LOOP
        -- A session that does not end is waited for again at the next look.
        CONTINUE WHEN NOT bda.end_sessions(last.job_id, last.attempt + 1, 1000);
        UPDATE bda.job AS j SET state = 'failed', lease_until = NULL
        WHERE j.job_id = last.job_id AND j.attempt = last.attempt AND j.state = 'running'
          AND j.lease_until < pg_catalog.clock_timestamp()
          AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id);
        CONTINUE WHEN NOT FOUND;
        UPDATE bda.attempt AS a SET outcome = 'lost', ended_at = pg_catalog.clock_timestamp(), code = 'attempts_used_up',
               message = 'the lease ran out and no attempt is left; the worker may have been killed by the job'
        WHERE a.job_id = last.job_id AND a.attempt = last.attempt;
    END LOOP;

    WITH unfinished AS (
        SELECT DISTINCT j.segment FROM bda.job AS j WHERE j.run_id = p_run_id AND j.state <> 'done'
    )
    UPDATE bda.job AS j SET state = 'ready'
    WHERE j.run_id = p_run_id AND j.state = 'blocked'
      AND NOT EXISTS (
          SELECT FROM bda.job_need AS n JOIN unfinished AS u ON u.segment = n.needs_segment
          WHERE n.run_id = p_run_id AND n.segment = j.segment AND NOT n.same_partition)
      AND NOT EXISTS (
          SELECT FROM bda.job_need AS n
          JOIN bda.job AS d ON d.run_id = n.run_id AND d.segment = n.needs_segment AND d.partition_no = j.partition_no
          WHERE n.run_id = p_run_id AND n.segment = j.segment AND n.same_partition AND d.state <> 'done');

    RETURN QUERY SELECT j.state, pg_catalog.count(*) FROM bda.job AS j WHERE j.run_id = p_run_id GROUP BY j.state;
END
$$;

-- The jobs whose request is due on the wire, longest expected first, marked as published. A job is due when it became
-- ready or its backoff is over; and, to wake the fleet, when its lease has run out, every few seconds, also when it had been
-- claimed before its request was published.
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

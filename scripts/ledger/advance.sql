-- Advances the jobs of a run: marks jobs with a result as done, jobs without attempts left and without a session that
-- could still complete them as failed, and jobs with completed needs as ready. Returns the number of jobs in each
-- state.
CREATE OR REPLACE FUNCTION bda.advance(p_run_id text, p_owner_number bigint) RETURNS TABLE (state text, jobs bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    last record;
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    PERFORM bda.settle(p_run_id);

    FOR last IN
        SELECT j.job_id, j.attempt FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
        WHERE j.run_id = p_run_id AND j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()
          AND j.attempt - j.interruptions >= r.max_attempts
    LOOP
        -- If a session has not ended yet, the next call waits for it again.
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

-- Ends the sessions of all attempts at a job before the given attempt, and waits until each has ended: they can then
-- commit nothing more. Returns false if a session has not ended within the time. The sessions of a completed job are
-- not ended, because they may already run other jobs.
CREATE OR REPLACE FUNCTION bda.end_sessions(p_job_id text, p_before integer, p_wait_milliseconds bigint) RETURNS boolean
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

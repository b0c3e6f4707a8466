-- Ends the sessions of the attempts at a job before the numbered one that are still there, and waits for each until it is
-- gone: what they have not committed by then, they never will. False: one is still there after the time. The sessions of a
-- job that is done are left alone: they may be doing other jobs by now.
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

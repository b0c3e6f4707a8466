-- Ends the session of a former worker, if it is still the session that made the claim, and waits until it has ended: it
-- can then commit nothing more. Returns false if the session has not ended within the time.
CREATE OR REPLACE FUNCTION bda.end_backend(p_pid integer, p_start timestamptz, p_wait_milliseconds bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = p_pid AND a.backend_start = p_start) THEN
        RETURN true;
    END IF;
    PERFORM pg_catalog.pg_terminate_backend(p_pid, p_wait_milliseconds);
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = p_pid AND a.backend_start = p_start);
END
$$;

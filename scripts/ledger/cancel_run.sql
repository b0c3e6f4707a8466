-- Cancels a run and takes its ownership in one guarded update, but only if the run is open and its manifest is not
-- recorded. A refusal changes nothing. Returns the run's state after the call, or no row if the run does not exist.
CREATE OR REPLACE FUNCTION bda.cancel_run(p_run_id text, p_owner text, p_exit_code integer, p_reason text)
RETURNS TABLE (is_cancelled boolean, state text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    is_changed boolean;
BEGIN
    UPDATE bda.run AS r
    SET state = 'cancelled', owner_number = r.owner_number + 1, owner = p_owner, exit_code = p_exit_code,
        reason = p_reason, hint = NULL, ended_at = pg_catalog.clock_timestamp()
    WHERE r.run_id = p_run_id AND r.state IN ('running', 'verified') AND r.manifest_uri IS NULL;
    is_changed := FOUND;
    IF is_changed THEN
        PERFORM bda.cancel_jobs(p_run_id);
    END IF;
    RETURN QUERY SELECT is_changed, r.state FROM bda.run AS r WHERE r.run_id = p_run_id;
END
$$;

-- Marks a run as failed and cancels its open jobs. Returns false if the run has ended, or if its manifest is recorded:
-- then `latest.json` may already name the run, and it must be completed. Raises BDA02 or BDA03 for a former owner.
CREATE OR REPLACE FUNCTION bda.fail_run(
    p_run_id text, p_owner_number bigint, p_exit_code integer, p_reason text, p_hint text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    UPDATE bda.run AS r
    SET state = 'failed', exit_code = p_exit_code, reason = p_reason, hint = p_hint,
        ended_at = pg_catalog.clock_timestamp()
    WHERE r.run_id = p_run_id AND r.owner_number = p_owner_number AND r.state IN ('running', 'verified')
      AND r.manifest_uri IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM bda.cancel_jobs(p_run_id);
    RETURN true;
END
$$;

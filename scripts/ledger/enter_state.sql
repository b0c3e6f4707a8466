-- One step of a run by compare-and-set: false when it is not in the state that it should come from. BDA02 for a former owner.
CREATE OR REPLACE FUNCTION bda.enter_state(p_run_id text, p_owner_number bigint, p_from text, p_to text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    changed integer;
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    UPDATE bda.run AS r
    SET state = p_to,
        published_at = CASE WHEN p_to = 'published' THEN pg_catalog.clock_timestamp() ELSE r.published_at END,
        ended_at = CASE WHEN p_to IN ('closed', 'failed', 'cancelled') THEN pg_catalog.clock_timestamp() END
    WHERE r.run_id = p_run_id AND r.owner_number = p_owner_number AND r.state = p_from;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed = 1;
END
$$;

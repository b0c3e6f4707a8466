-- Changes the state of a run by compare-and-set: returns false if the run is not in state p_from. Raises BDA02 or BDA03
-- for a former owner. The open jobs of a run that ends are cancelled.
CREATE OR REPLACE FUNCTION bda.enter_state(p_run_id text, p_owner_number bigint, p_from text, p_to text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    is_end CONSTANT boolean := p_to IN ('closed', 'failed', 'cancelled');
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    UPDATE bda.run AS r
    SET state = p_to,
        published_at = CASE WHEN p_to = 'published' THEN pg_catalog.clock_timestamp() ELSE r.published_at END,
        ended_at = CASE WHEN is_end THEN pg_catalog.clock_timestamp() END
    WHERE r.run_id = p_run_id AND r.owner_number = p_owner_number AND r.state = p_from;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF is_end THEN
        PERFORM bda.cancel_jobs(p_run_id);
    END IF;
    RETURN true;
END
$$;

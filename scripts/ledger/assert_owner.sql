-- Raises BDA03 if the run was cancelled, else BDA02 unless the run belongs to the given owner.
CREATE OR REPLACE FUNCTION bda.assert_owner(p_run_id text, p_owner_number bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    present record;
BEGIN
    SELECT r.state, r.owner_number INTO present FROM bda.run AS r WHERE r.run_id = p_run_id;
    IF present.state = 'cancelled' THEN
        RAISE EXCEPTION 'run % was cancelled', p_run_id USING ERRCODE = 'BDA03';
    END IF;
    IF present.owner_number IS DISTINCT FROM p_owner_number THEN
        RAISE EXCEPTION 'another coordinator has taken run % over', p_run_id USING ERRCODE = 'BDA02';
    END IF;
END
$$;

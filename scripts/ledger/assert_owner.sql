-- Raises BDA02 unless the run is the given owner's.
CREATE OR REPLACE FUNCTION bda.assert_owner(p_run_id text, p_owner_number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM bda.run AS r WHERE r.run_id = p_run_id AND r.owner_number = p_owner_number) THEN
        RAISE EXCEPTION 'another coordinator has taken run % over', p_run_id USING ERRCODE = 'BDA02';
    END IF;
END
$$;

-- Removes all rows of an ended run from the ledger, and the texts of scripts that no other run used. Returns false and
-- changes nothing if the run is open.
CREATE OR REPLACE FUNCTION bda.remove_run(p_run_id text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    job_ids text[];
BEGIN
    DELETE FROM bda.run AS r WHERE r.run_id = p_run_id AND r.state IN ('closed', 'failed', 'cancelled');
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- History segments have results but no rows in bda.job, because the coordinator runs them itself.
    job_ids := ARRAY(
        SELECT j.job_id FROM bda.job AS j WHERE j.run_id = p_run_id
        UNION ALL
        SELECT s.run_id || '/' || s.segment || '/0000' FROM bda.run_script AS s
        WHERE s.run_id = p_run_id AND s.kind = 'history');
    DELETE FROM bda.part AS x WHERE x.job_id = ANY (job_ids);
    DELETE FROM bda.total AS x WHERE x.job_id = ANY (job_ids);
    DELETE FROM bda.attempt AS x WHERE x.job_id = ANY (job_ids);
    DELETE FROM bda.result AS x WHERE x.job_id = ANY (job_ids);
    DELETE FROM bda.job AS x WHERE x.run_id = p_run_id;
    DELETE FROM bda.job_need AS x WHERE x.run_id = p_run_id;
    DELETE FROM bda.finding AS x WHERE x.run_id = p_run_id;
    DELETE FROM bda.snapshot_keeper AS x WHERE x.run_id = p_run_id;
    DELETE FROM bda.run_script AS x WHERE x.run_id = p_run_id;
    DELETE FROM bda.script AS x WHERE NOT EXISTS (SELECT FROM bda.run_script AS s WHERE s.digest = x.digest);
    RETURN true;
END
$$;

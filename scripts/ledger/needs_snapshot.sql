-- Whether a run still needs its snapshot. An archive that reads the vaults is compared with SQL sums in the run's
-- snapshot, so that a later load makes no difference: a run with such archives needs its snapshot until it is verified.
CREATE OR REPLACE FUNCTION bda.needs_snapshot(p_run_id text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM bda.run AS r
        JOIN bda.run_script AS s ON s.run_id = r.run_id AND s.reads = 'vault'
        JOIN bda.job AS j ON j.run_id = s.run_id AND j.segment = s.segment
        WHERE r.run_id = p_run_id AND r.state = 'running' AND r.graph_at IS NOT NULL
          AND (s.kind = 'archive' OR NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)))
$$;

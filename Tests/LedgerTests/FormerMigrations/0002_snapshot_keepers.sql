-- Workers hold a run's snapshot beside its coordinator, so that a coordinator's death does not end the reading of the
-- vaults: the next one takes the snapshot over from whoever still has it.

CREATE TABLE bda.snapshot_keeper (
    run_id        text NOT NULL,
    worker_id     text NOT NULL,
    snapshot_id   text NOT NULL,
    backend_pid   integer NOT NULL,
    backend_start timestamptz NOT NULL,
    since         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (run_id, worker_id)
);
COMMENT ON TABLE bda.snapshot_keeper IS
    'Sessions that hold a run''s snapshot beside its coordinator, each under an id of its own. Rows of keepers that were killed stay until the run needs no snapshot.';

ALTER TABLE bda.run_script ADD COLUMN tables text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN bda.run_script.tables IS
    'Scripts that read the vaults: their tables, which are locked before the snapshot is imported, because DDL pierces snapshots.';

-- Whether a run's snapshot is still needed: the run goes on, and a job that reads the vaults has no result.
CREATE FUNCTION bda.needs_snapshot(p_run_id text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM bda.run AS r
        JOIN bda.run_script AS s ON s.run_id = r.run_id AND s.reads = 'vault'
        JOIN bda.job AS j ON j.run_id = s.run_id AND j.segment = s.segment
        WHERE r.run_id = p_run_id AND r.state = 'running' AND r.graph_at IS NOT NULL
          AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id))
$$;

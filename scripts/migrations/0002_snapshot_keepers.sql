-- @former 15dce636802d599ff32f5bdaecbdc13397a201798ffb4b397fe9a5b7b130c446
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

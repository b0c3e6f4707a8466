-- Which workers are alive, and what keeps a run from going on.

CREATE TABLE bda.worker (
    client_id   text NOT NULL,
    environment text NOT NULL,
    worker_id   text NOT NULL,
    slots       integer NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (client_id, environment, worker_id)
);
COMMENT ON TABLE bda.worker IS 'Each worker notes every few seconds that it is alive: jobs that pause between two attempts are no reason to give a run up as long as one is.';

ALTER TABLE bda.run ADD COLUMN waiting_for text;
COMMENT ON COLUMN bda.run.waiting_for IS 'What keeps the run from going on, such as a reader that holds its views; NULL if nothing does.';

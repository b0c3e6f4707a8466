-- @former 5ea7b073941ff61f87ebbed3f2bd6ab8a6aae1ce7677a6b543c7e4f33d4d634c
-- The ledger: what is to be done, who does it, and what is done. Kafka brings jobs; this decides.
--
-- Clocks are the server's (clock_timestamp()), so that no host's clock matters. There are no foreign keys from result,
-- part and total: a worker inserts them in a transaction whose snapshot may be older than the rows they would refer to.

CREATE SCHEMA IF NOT EXISTS bda;
CREATE SCHEMA IF NOT EXISTS report_oibl;
CREATE SCHEMA IF NOT EXISTS bda_extensions;
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA bda_extensions;

CREATE TABLE bda.script (
    digest text PRIMARY KEY,
    text   text NOT NULL
);
COMMENT ON TABLE bda.script IS 'The exact text of every script that a run used, by its SHA-256.';

CREATE TABLE bda.run (
    run_id              text PRIMARY KEY,
    client_id           text NOT NULL,
    environment         text NOT NULL,
    business_date       date NOT NULL,
    cutoff              timestamptz NOT NULL,
    systems             text[] NOT NULL,
    is_complete_set     boolean NOT NULL,
    partition_count     integer NOT NULL CHECK (partition_count BETWEEN 1 AND 1024),
    rows_per_part       bigint NOT NULL CHECK (rows_per_part > 0),
    upload_part_bytes   bigint NOT NULL CHECK (upload_part_bytes > 0),
    compression         text NOT NULL CHECK (compression IN ('none', 'gzip', 'zstd')),
    compression_level   integer,
    output              text NOT NULL,
    output_prefix       text NOT NULL,
    max_attempts        integer NOT NULL CHECK (max_attempts > 0),
    retry_base_seconds  integer NOT NULL,
    retry_max_seconds   integer NOT NULL,
    job_timeout_seconds integer NOT NULL,
    state               text NOT NULL DEFAULT 'running' CHECK (state IN
                            ('running', 'verified', 'published', 'announced', 'history', 'closed', 'failed', 'cancelled')),
    owner_number        bigint NOT NULL DEFAULT 1,
    owner               text NOT NULL,
    snapshot_id         text,
    reason              text,
    hint                text,
    exit_code           integer,
    manifest_uri        text,
    manifest_sha256     text,
    replaces_run_id     text,
    started_at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    graph_at            timestamptz,
    published_at        timestamptz,
    ended_at            timestamptz
);
COMMENT ON COLUMN bda.run.is_complete_set IS 'Whether all configured systems run; a run of fewer does not move latest.';
COMMENT ON COLUMN bda.run.graph_at IS 'When all jobs of the run were written; no job is claimed before.';

CREATE UNIQUE INDEX run_one_open ON bda.run (client_id, environment, business_date)
    WHERE state NOT IN ('closed', 'failed', 'cancelled');

CREATE TABLE bda.run_script (
    run_id  text NOT NULL,
    segment text NOT NULL,
    kind    text NOT NULL,
    reads   text NOT NULL,
    file    text NOT NULL,
    digest  text NOT NULL,
    columns jsonb,
    PRIMARY KEY (run_id, segment)
);
COMMENT ON COLUMN bda.run_script.columns IS 'Archive segments: [{"name", "type"}] as the server describes them.';

CREATE TABLE bda.job (
    job_id           text PRIMARY KEY,
    run_id           text NOT NULL,
    segment          text NOT NULL,
    partition_no     integer NOT NULL,
    page_from        bigint,
    page_to          bigint,
    state            text NOT NULL DEFAULT 'blocked' CHECK (state IN ('blocked', 'ready', 'running', 'done', 'failed')),
    attempt          integer NOT NULL DEFAULT 0,
    interruptions    integer NOT NULL DEFAULT 0,
    expected_seconds double precision NOT NULL,
    not_before       timestamptz,
    published_at     timestamptz,
    lease_until      timestamptz,
    worker_id        text,
    backend_pid      integer,
    backend_start    timestamptz,
    rows_so_far      bigint,
    UNIQUE (run_id, segment, partition_no)
);
CREATE INDEX job_open ON bda.job (expected_seconds DESC, job_id) WHERE state IN ('ready', 'running');

CREATE TABLE bda.job_need (
    run_id         text NOT NULL,
    segment        text NOT NULL,
    needs_segment  text NOT NULL,
    same_partition boolean NOT NULL,
    PRIMARY KEY (run_id, segment, needs_segment)
);
COMMENT ON TABLE bda.job_need IS 'The graph at the grain of segments; same_partition: bucket n waits for bucket n only.';

CREATE TABLE bda.attempt (
    job_id     text NOT NULL,
    attempt    integer NOT NULL,
    worker_id  text NOT NULL,
    outcome    text CHECK (outcome IN ('completed', 'retry', 'rejected', 'interrupted', 'lost')),
    code       text,
    message    text,
    hint       text,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended_at   timestamptz,
    PRIMARY KEY (job_id, attempt)
);

CREATE TABLE bda.result (
    job_id        text PRIMARY KEY,
    attempt       integer NOT NULL,
    worker_id     text NOT NULL,
    rows          bigint NOT NULL,
    bytes         bigint NOT NULL,
    duration_ms   bigint NOT NULL,
    finished_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    event_sent_at timestamptz
);
CREATE INDEX result_event_owed ON bda.result (finished_at) WHERE event_sent_at IS NULL;

CREATE TABLE bda.part (
    job_id  text NOT NULL,
    part_no integer NOT NULL,
    key     text NOT NULL,
    rows    bigint NOT NULL,
    bytes   bigint NOT NULL,
    sha256  text NOT NULL,
    PRIMARY KEY (job_id, part_no)
);

CREATE TABLE bda.total (
    job_id   text NOT NULL,
    name     text NOT NULL,
    currency text NOT NULL,
    amount   numeric NOT NULL,
    PRIMARY KEY (job_id, name, currency)
);

CREATE TABLE bda.finding (
    run_id   text NOT NULL,
    segment  text NOT NULL,
    severity text NOT NULL,
    hint     text,
    rows     bigint NOT NULL,
    sample   jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (run_id, segment)
);

-- One row for each job that a worker could be doing: what the fleet is scaled by (not by the lag of the jobs
-- topic, which is 0 while long jobs run).
CREATE VIEW bda.open_jobs AS
SELECT r.client_id, r.environment, j.job_id, j.segment, j.partition_no, j.state
FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
WHERE r.state = 'running' AND r.graph_at IS NOT NULL
  AND (j.state = 'running' OR (j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp())));

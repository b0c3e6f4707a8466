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

-- The customer bucket of a hash key: its first three bytes, scaled to 0 .. n-1. Hash keys are spread evenly, so buckets are.
CREATE FUNCTION bda.bucket(hash_key bytea, partition_count integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (((pg_catalog.get_byte(hash_key, 0)::bigint << 16)
         | (pg_catalog.get_byte(hash_key, 1) << 8)
         | pg_catalog.get_byte(hash_key, 2)) * partition_count >> 24)::integer;

-- The key of the advisory lock that makes one coordinator of a client, environment and date.
CREATE FUNCTION bda.date_lock_key(client_id text, environment text, business_date date) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT
RETURN pg_catalog.hashtextextended(client_id || '/' || environment || '/' || (business_date - DATE '1970-01-01'), 0);

-- Claims one job for a worker's session, or none. With p_job_id that job, without it the one that is expected to take
-- longest among all that can be had. Committed at once: from then on the attempt counts, also when its worker dies.
CREATE FUNCTION bda.claim(
    p_job_id text, p_client_id text, p_environment text, p_worker_id text,
    p_backend_pid integer, p_backend_start timestamptz, p_lease_seconds integer
) RETURNS TABLE (
    job_id text, run_id text, segment text, partition_no integer, page_from bigint, page_to bigint, attempt integer,
    attempts_left integer, former_pid integer, former_start timestamptz, former_worker_id text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found_job bda.job;
    allowed   integer;
    is_taken_over boolean;
BEGIN
    IF p_job_id IS NOT NULL THEN
        SELECT j.* INTO found_job
        FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
        WHERE j.job_id = p_job_id AND r.state = 'running' AND r.graph_at IS NOT NULL
          AND r.client_id = p_client_id AND r.environment = p_environment
          AND ((j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp()))
               OR (j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()))
          AND j.attempt - j.interruptions < r.max_attempts
          AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
        FOR NO KEY UPDATE OF j SKIP LOCKED;
    ELSE
        SELECT j.* INTO found_job
        FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
        WHERE j.state IN ('ready', 'running') AND r.state = 'running' AND r.graph_at IS NOT NULL
          AND r.client_id = p_client_id AND r.environment = p_environment
          AND ((j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp()))
               OR (j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()))
          AND j.attempt - j.interruptions < r.max_attempts
          AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
        ORDER BY j.expected_seconds DESC, j.job_id
        LIMIT 1
        FOR NO KEY UPDATE OF j SKIP LOCKED;
    END IF;
    IF found_job.job_id IS NULL THEN
        RETURN;
    END IF;
    is_taken_over := found_job.state = 'running';
    IF is_taken_over THEN
        UPDATE bda.attempt AS a SET outcome = 'lost', code = 'lease_expired', ended_at = pg_catalog.clock_timestamp(),
               message = 'the lease ran out and another worker took the job over'
        WHERE a.job_id = found_job.job_id AND a.attempt = found_job.attempt AND a.outcome IS NULL;
    END IF;
    UPDATE bda.job AS j
    SET state = 'running', attempt = j.attempt + 1, worker_id = p_worker_id, rows_so_far = NULL, not_before = NULL,
        lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_seconds),
        backend_pid = p_backend_pid, backend_start = p_backend_start
    WHERE j.job_id = found_job.job_id;
    INSERT INTO bda.attempt (job_id, attempt, worker_id) VALUES (found_job.job_id, found_job.attempt + 1, p_worker_id);
    SELECT r.max_attempts INTO allowed FROM bda.run AS r WHERE r.run_id = found_job.run_id;
    RETURN QUERY SELECT found_job.job_id, found_job.run_id, found_job.segment, found_job.partition_no,
        found_job.page_from, found_job.page_to, found_job.attempt + 1,
        allowed - (found_job.attempt + 1 - found_job.interruptions),
        CASE WHEN is_taken_over THEN found_job.backend_pid END,
        CASE WHEN is_taken_over THEN found_job.backend_start END,
        CASE WHEN is_taken_over THEN found_job.worker_id END;
END
$$;

-- Ends a former worker's session, if it is still the one that made the claim, and waits until it is gone: what it has not
-- committed by then, it never will. False: it is still there after the time.
CREATE FUNCTION bda.end_backend(p_pid integer, p_start timestamptz, p_wait_milliseconds bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = p_pid AND a.backend_start = p_start) THEN
        RETURN true;
    END IF;
    PERFORM pg_catalog.pg_terminate_backend(p_pid, p_wait_milliseconds);
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    RETURN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = p_pid AND a.backend_start = p_start);
END
$$;

-- Renews the leases of a worker's running attempts and notes their progress. Returns those that it still holds.
CREATE FUNCTION bda.renew(
    p_job_ids text[], p_attempts integer[], p_rows bigint[], p_lease_seconds integer
) RETURNS TABLE (job_id text, attempt integer) LANGUAGE sql AS $$
    UPDATE bda.job AS j
    SET lease_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_lease_seconds),
        rows_so_far = mine.rows
    FROM unnest(p_job_ids, p_attempts, p_rows) AS mine (job_id, attempt, rows), bda.run AS r
    WHERE j.job_id = mine.job_id AND j.attempt = mine.attempt AND j.state = 'running'
      AND r.run_id = j.run_id AND r.state = 'running'
    RETURNING j.job_id, j.attempt
$$;

-- The result of a job, as the last statement of the work's own transaction. p_xid is the transaction that the worker
-- began: a script that ended it and began another is found out here. A unique violation says that the job was done before.
CREATE FUNCTION bda.record_result(
    p_job_id text, p_attempt integer, p_worker_id text, p_xid xid8, p_rows bigint, p_bytes bigint, p_duration_ms bigint,
    p_parts jsonb, p_totals jsonb
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_xid <> pg_catalog.pg_current_xact_id() THEN
        RAISE EXCEPTION 'the script ended the transaction that it was run in' USING ERRCODE = 'BDA01';
    END IF;
    WITH parts AS (
        INSERT INTO bda.part (job_id, part_no, key, rows, bytes, sha256)
        SELECT p_job_id, p.part_no, p.key, p.rows, p.bytes, p.sha256
        FROM pg_catalog.jsonb_to_recordset(p_parts)
             AS p (part_no integer, key text, rows bigint, bytes bigint, sha256 text)
    ), totals AS (
        INSERT INTO bda.total (job_id, name, currency, amount)
        SELECT p_job_id, t.name, t.currency, t.amount
        FROM pg_catalog.jsonb_to_recordset(p_totals) AS t (name text, currency text, amount numeric)
    )
    INSERT INTO bda.result (job_id, attempt, worker_id, rows, bytes, duration_ms)
    VALUES (p_job_id, p_attempt, p_worker_id, p_rows, p_bytes, p_duration_ms);
END
$$;

-- Ends an attempt without a result. Guarded by attempt: who lost the claim changes nothing (false).
-- p_outcome: retry, rejected or interrupted. A retry without attempts left is a failure.
CREATE FUNCTION bda.end_attempt(
    p_job_id text, p_attempt integer, p_outcome text, p_code text, p_message text, p_hint text,
    p_retry_after_seconds double precision
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    ended bda.job;
BEGIN
    UPDATE bda.job AS j
    SET state = CASE WHEN p_outcome = 'rejected' THEN 'failed'
                     WHEN p_outcome = 'retry' AND j.attempt - j.interruptions >= r.max_attempts THEN 'failed'
                     ELSE 'ready' END,
        interruptions = j.interruptions + CASE WHEN p_outcome = 'interrupted' THEN 1 ELSE 0 END,
        not_before = CASE WHEN p_outcome = 'retry'
                          THEN pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => p_retry_after_seconds) END,
        published_at = NULL, lease_until = NULL, backend_pid = NULL, backend_start = NULL
    FROM bda.run AS r
    WHERE j.job_id = p_job_id AND j.attempt = p_attempt AND j.state = 'running' AND r.run_id = j.run_id
      AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id)
    RETURNING j.* INTO ended;
    IF ended.job_id IS NULL THEN
        RETURN false;
    END IF;
    UPDATE bda.attempt AS a
    SET outcome = p_outcome, code = p_code, message = p_message, hint = p_hint, ended_at = pg_catalog.clock_timestamp()
    WHERE a.job_id = p_job_id AND a.attempt = p_attempt;
    RETURN true;
END
$$;

-- Raises BDA02 unless the run is the given owner's.
CREATE FUNCTION bda.assert_owner(p_run_id text, p_owner_number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM bda.run AS r WHERE r.run_id = p_run_id AND r.owner_number = p_owner_number) THEN
        RAISE EXCEPTION 'another coordinator has taken run % over', p_run_id USING ERRCODE = 'BDA02';
    END IF;
END
$$;

-- The coordinator's look at the ledger: settles what is done, gives up what has no attempts left, readies what waits for
-- nothing any more. Returns how many jobs are in each state.
CREATE FUNCTION bda.advance(p_run_id text, p_owner_number bigint) RETURNS TABLE (state text, jobs bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    WITH settled AS (
        UPDATE bda.job AS j SET state = 'done', lease_until = NULL, backend_pid = NULL, backend_start = NULL,
               rows_so_far = d.rows
        FROM bda.result AS d
        WHERE j.run_id = p_run_id AND j.state <> 'done' AND d.job_id = j.job_id
        RETURNING j.job_id, d.attempt, d.finished_at
    )
    UPDATE bda.attempt AS a SET outcome = 'completed', ended_at = s.finished_at, code = NULL, message = NULL
    FROM settled AS s WHERE a.job_id = s.job_id AND a.attempt = s.attempt;

    WITH given_up AS (
        UPDATE bda.job AS j SET state = 'failed', lease_until = NULL
        FROM bda.run AS r
        WHERE j.run_id = p_run_id AND r.run_id = j.run_id AND j.state = 'running'
          AND j.lease_until < pg_catalog.clock_timestamp() AND j.attempt - j.interruptions >= r.max_attempts
        RETURNING j.job_id, j.attempt
    )
    UPDATE bda.attempt AS a SET outcome = 'lost', ended_at = pg_catalog.clock_timestamp(), code = 'attempts_used_up',
           message = 'the lease ran out and no attempt is left; the worker may have been killed by the job'
    FROM given_up AS g WHERE a.job_id = g.job_id AND a.attempt = g.attempt;

    WITH unfinished AS (
        SELECT DISTINCT j.segment FROM bda.job AS j WHERE j.run_id = p_run_id AND j.state <> 'done'
    )
    UPDATE bda.job AS j SET state = 'ready'
    WHERE j.run_id = p_run_id AND j.state = 'blocked'
      AND NOT EXISTS (
          SELECT FROM bda.job_need AS n JOIN unfinished AS u ON u.segment = n.needs_segment
          WHERE n.run_id = p_run_id AND n.segment = j.segment AND NOT n.same_partition)
      AND NOT EXISTS (
          SELECT FROM bda.job_need AS n
          JOIN bda.job AS d ON d.run_id = n.run_id AND d.segment = n.needs_segment AND d.partition_no = j.partition_no
          WHERE n.run_id = p_run_id AND n.segment = j.segment AND n.same_partition AND d.state <> 'done');

    RETURN QUERY SELECT j.state, pg_catalog.count(*) FROM bda.job AS j WHERE j.run_id = p_run_id GROUP BY j.state;
END
$$;

-- The jobs whose request is due on the wire, longest expected first, marked as published. A job is due when it became
-- ready or its backoff is over, and again every few seconds while nobody holds it, to wake the fleet.
CREATE FUNCTION bda.take_due_requests(
    p_run_id text, p_owner_number bigint, p_again_seconds integer
) RETURNS TABLE (job_id text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM bda.assert_owner(p_run_id, p_owner_number);
    RETURN QUERY
    WITH due AS (
        UPDATE bda.job AS j SET published_at = pg_catalog.clock_timestamp()
        WHERE j.run_id = p_run_id
          AND ((j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp())
                AND j.published_at IS NULL)
               OR (j.state = 'running' AND j.lease_until < pg_catalog.clock_timestamp()
                   AND j.published_at < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => p_again_seconds)))
        RETURNING j.job_id, j.expected_seconds
    )
    SELECT d.job_id FROM due AS d ORDER BY d.expected_seconds DESC, d.job_id;
END
$$;

-- One step of a run by compare-and-set: false when it is not in the state that it should come from. BDA02 for a former owner.
CREATE FUNCTION bda.enter_state(p_run_id text, p_owner_number bigint, p_from text, p_to text) RETURNS boolean
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

-- The seconds that jobs of a segment took in the newest three runs, by partition; used to hand out the longest first.
CREATE FUNCTION bda.expected_seconds(p_client_id text, p_environment text, p_segment text)
RETURNS TABLE (partition_no integer, partition_count integer, seconds double precision)
LANGUAGE sql STABLE AS $$
    SELECT j.partition_no, r.partition_count, pg_catalog.avg(d.duration_ms) / 1000.0
    FROM (SELECT r.run_id, r.partition_count FROM bda.run AS r
          WHERE r.client_id = p_client_id AND r.environment = p_environment AND r.published_at IS NOT NULL
          ORDER BY r.run_id DESC LIMIT 3) AS r
    JOIN bda.job AS j ON j.run_id = r.run_id AND j.segment = p_segment
    JOIN bda.result AS d ON d.job_id = j.job_id
    GROUP BY j.partition_no, r.partition_count
$$;

-- One row for each job that a worker could be doing: what the fleet is scaled by (not by the lag of the jobs
-- topic, which is 0 while long jobs run).
CREATE VIEW bda.open_jobs AS
SELECT r.client_id, r.environment, j.job_id, j.segment, j.partition_no, j.state
FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
WHERE r.state = 'running' AND r.graph_at IS NOT NULL
  AND (j.state = 'running' OR (j.state = 'ready' AND (j.not_before IS NULL OR j.not_before <= pg_catalog.clock_timestamp())));

-- The open jobs of a run that has ended are cancelled with it, so that they leave the claim's index.

ALTER TABLE bda.job DROP CONSTRAINT job_state_check;
ALTER TABLE bda.job ADD CONSTRAINT job_state_check
    CHECK (state IN ('blocked', 'ready', 'running', 'done', 'failed', 'cancelled'));
-- Leases are renewed in place: no column of an index changes, and pages keep room for the new version of a row.
ALTER TABLE bda.job SET (fillfactor = 70);

UPDATE bda.attempt AS a
SET outcome = 'lost', code = 'run_ended', message = 'the run has ended', ended_at = COALESCE(r.ended_at, a.started_at)
FROM bda.job AS j JOIN bda.run AS r ON r.run_id = j.run_id
WHERE a.job_id = j.job_id AND a.outcome IS NULL AND r.state IN ('closed', 'failed', 'cancelled')
  AND j.state = 'running' AND NOT EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id);

UPDATE bda.job AS j
SET state = CASE WHEN EXISTS (SELECT FROM bda.result AS d WHERE d.job_id = j.job_id) THEN 'done' ELSE 'cancelled' END,
    lease_until = NULL, not_before = NULL, backend_pid = NULL, backend_start = NULL
FROM bda.run AS r
WHERE r.run_id = j.run_id AND r.state IN ('closed', 'failed', 'cancelled') AND j.state IN ('blocked', 'ready', 'running');

-- Results of history segments, which have no row in bda.job, stayed when their run was removed.
DELETE FROM bda.result AS d
WHERE NOT EXISTS (SELECT FROM bda.run AS r WHERE r.run_id = pg_catalog.split_part(d.job_id, '/', 1));

-- @former df50664784f59f2b95acb46c3f393191a91fcb66add545d39368107668cf781b
-- Each attempt notes the session that does its work, so that the sessions of all attempts before the present one can be ended,
-- not only the last one's: a worker may die before it could end the session of the attempt before its own.

ALTER TABLE bda.attempt ADD COLUMN backend_pid integer, ADD COLUMN backend_start timestamptz;
COMMENT ON COLUMN bda.attempt.backend_pid IS 'The session that does the work; pid and backend_start together identify it.';

UPDATE bda.attempt AS a SET backend_pid = j.backend_pid, backend_start = j.backend_start
FROM bda.job AS j WHERE j.job_id = a.job_id AND j.attempt = a.attempt;

-- A job that does nothing, to measure what a job costs beside its work.
-- @segment noop.work_b
-- @reads   run
-- @writes  noop
INSERT INTO :"work".noop (partition_no) SELECT :'partition'::integer WHERE false

-- An empty job, to measure the cost of a job without its work.
-- @segment noop.work_b
-- @reads   run
-- @writes  noop
INSERT INTO :"work".noop (partition_no) SELECT :'partition'::integer WHERE false

-- What the jobs of the scheduling benchmark write: nothing.
-- @table noop
CREATE TABLE :"work".noop (partition_no integer NOT NULL)

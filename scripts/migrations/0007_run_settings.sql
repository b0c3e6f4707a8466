-- What decides a run's bytes, and its limits, is one value that programs write and read as a whole; functions read the two
-- columns that are made from it.

ALTER TABLE bda.run ADD COLUMN settings jsonb;
COMMENT ON COLUMN bda.run.settings IS
    'Fixed when the run begins: partitions, rows per part, pieces of an upload, compression, output, attempts, time limits.';

UPDATE bda.run SET settings = pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
    'partition_count', partition_count, 'rows_per_part', rows_per_part, 'upload_piece_bytes', upload_part_bytes,
    'compression', compression, 'compression_level', compression_level, 'output', output, 'output_prefix', output_prefix,
    'max_attempts', max_attempts, 'retry_base_seconds', retry_base_seconds, 'retry_max_seconds', retry_max_seconds,
    'job_timeout_seconds', job_timeout_seconds));

ALTER TABLE bda.run
    ALTER COLUMN settings SET NOT NULL,
    DROP COLUMN partition_count, DROP COLUMN rows_per_part, DROP COLUMN upload_part_bytes, DROP COLUMN compression,
    DROP COLUMN compression_level, DROP COLUMN output, DROP COLUMN output_prefix, DROP COLUMN max_attempts,
    DROP COLUMN retry_base_seconds, DROP COLUMN retry_max_seconds, DROP COLUMN job_timeout_seconds;
ALTER TABLE bda.run
    ADD COLUMN partition_count integer NOT NULL CHECK (partition_count BETWEEN 1 AND 1024)
        GENERATED ALWAYS AS ((settings ->> 'partition_count')::integer) STORED,
    ADD COLUMN max_attempts integer NOT NULL CHECK (max_attempts > 0)
        GENERATED ALWAYS AS ((settings ->> 'max_attempts')::integer) STORED;

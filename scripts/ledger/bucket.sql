-- The customer bucket of a hash key: its first three bytes, scaled to 0 .. n-1. Hash keys are evenly distributed, and
-- so are the buckets.
CREATE OR REPLACE FUNCTION bda.bucket(hash_key bytea, partition_count integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (((pg_catalog.get_byte(hash_key, 0)::bigint << 16)
         | (pg_catalog.get_byte(hash_key, 1) << 8)
         | pg_catalog.get_byte(hash_key, 2)) * partition_count >> 24)::integer;

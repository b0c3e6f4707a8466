-- The key of the advisory lock that admits one coordinator per client, environment and date.
CREATE OR REPLACE FUNCTION bda.date_lock_key(client_id text, environment text, business_date date) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT
RETURN pg_catalog.hashtextextended(client_id || '/' || environment || '/' || (business_date - DATE '1970-01-01'), 0);

-- The functions of the generator: numbers and times that depend only on seed and id.

-- Returns a number from 0 to n-1. PostgreSQL keeps this hash stable, because hash-partitioned tables depend on it.
CREATE FUNCTION pg_temp.pick(id bigint, salt integer, n integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((hashint8extended(id, salt + :seed * 1000) & 9223372036854775807) % n)::integer;

CREATE FUNCTION pg_temp.hk(business_key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN decode(md5(business_key), 'hex');

-- Returns the load time of a row: in the nightly load after its day (01:00 to 03:30 in the utility's time zone), or,
-- for one in fifty rows if `intraday` is set, in the load from 04:50 to 05:20, which a cut-off at 05:00 divides. The
-- version's number makes the time unique.
CREATE FUNCTION pg_temp.loaded(day date, id bigint, version integer, intraday boolean) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (day + 1
        + CASE WHEN intraday AND pg_temp.pick(id, 900 + version, 50) = 0
               THEN time '04:50' + pg_temp.pick(id, 910 + version, 1800) * interval '1 second'
               ELSE time '01:00' + pg_temp.pick(id, 920 + version, 9000) * interval '1 second' END
        + version * interval '1 microsecond') AT TIME ZONE 'Europe/Berlin';

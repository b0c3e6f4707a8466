-- What the generator is made of: numbers and times that are functions of seed and id, and of nothing else.

-- 0 .. n-1. PostgreSQL promises that this hash stays the same: hash-partitioned tables rest on it.
CREATE FUNCTION pg_temp.pick(id bigint, salt integer, n integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((hashint8extended(id, salt + :seed * 1000) & 9223372036854775807) % n)::integer;

CREATE FUNCTION pg_temp.hk(business_key text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN decode(md5(business_key), 'hex');

-- When the row came: in the nightly load after its day (01:00 to 03:30 in the utility's time zone), or, for one in fifty
-- where `intraday` holds, in the load of 04:50 to 05:20, which a cut-off at 05:00 divides. A version's number makes it
-- unique.
CREATE FUNCTION pg_temp.loaded(day date, id bigint, version integer, intraday boolean) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (day + 1
        + CASE WHEN intraday AND pg_temp.pick(id, 900 + version, 50) = 0
               THEN time '04:50' + pg_temp.pick(id, 910 + version, 1800) * interval '1 second'
               ELSE time '01:00' + pg_temp.pick(id, 920 + version, 9000) * interval '1 second' END
        + version * interval '1 microsecond') AT TIME ZONE 'Europe/Berlin';

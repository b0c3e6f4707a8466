#!/usr/bin/env bash
# Loads the sample warehouse: see `load.sh --help`.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'TEXT'
usage: scripts/sample/load.sh [--scale S] [--seed N] [--date D] [--days N] [--force]

Creates and fills the schemas datalake_vault, dunning_vault and bookkeeper_vault in the database that psql's environment
variables (PGHOST, PGPORT, PGDATABASE, PGUSER, ...) name. The same seed, scale, date and days give the same rows.

  --scale S   size: 1 gives about 30,000 charges in seconds, 1000 tens of millions; fractions like 0.1 are allowed (default 1)
  --seed N    seed of the random figures, 0 to 999 (default 1)
  --date D    the business date, at least five days ago: loads continue for three more days (default 2026-01-15)
  --days N    number of days with documents before the business date, at least 30 (default 730)
  --force     drop schemas with these names even if they are not a sample: ALL of their data is lost
  --help      print this text

examples:
  PGDATABASE=octopus scripts/sample/load.sh
  PGHOST=/run/postgresql PGDATABASE=octopus scripts/sample/load.sh --scale 20 --date 2024-02-29
TEXT
}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

scale=1 seed=1 date=2026-01-15 days=730 force=false
while [ $# -gt 0 ]; do
    case $1 in
        --scale | --seed | --date | --days)
            [ $# -ge 2 ] || fail "$1 needs a value; see load.sh --help"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --force) force=true ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'; see load.sh --help" ;;
    esac
    shift
done
[[ $scale =~ ^([1-9][0-9]{0,4}|0\.[0-9]{1,3})$ ]] || fail "--scale '$scale' is neither a whole number from 1 to 99999 nor a fraction like 0.1"
[[ $seed =~ ^[0-9]{1,3}$ ]] || fail "--seed '$seed' is not a whole number from 0 to 999"
[[ $days =~ ^[1-9][0-9]{1,3}$ ]] && [ "$days" -ge 30 ] || fail "--days '$days' is not a whole number from 30 to 9999"
[[ $date =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || fail "--date '$date' is not a date like 2026-01-15"
# The loads after the date must be in the past, because a precheck rejects rows from the future.
newest=$(date --utc --date='5 days ago' +%F)
[[ ! $date > $newest ]] || fail "--date '$date' must be at least five days ago: $newest or before"

export PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning -c timezone=UTC -c datestyle=ISO -c jit=off"
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

foreign=$(sql --command="
    SELECT string_agg(nspname, ', ') FROM pg_catalog.pg_namespace
    WHERE nspname IN ('datalake_vault', 'dunning_vault', 'bookkeeper_vault')
      AND obj_description(oid, 'pg_namespace') IS DISTINCT FROM 'sample warehouse'
      AND coalesce(obj_description(oid, 'pg_namespace'), '') NOT LIKE 'sample warehouse%'")
[ -z "$foreign" ] || [ "$force" = true ] ||
    fail "$foreign: schemas with these names exist and are not marked as a sample; --force drops them with all their data"

started=$SECONDS
# The load is one transaction, so a concurrent reader sees either the old sample or the new one.
cd "$folder"
sql --set=scale="$scale" --set=seed="$((10#$seed))" --set=date="$date" --set=days="$days" --single-transaction \
    --file=- <<'SQL'
SET LOCAL synchronous_commit = off;
SET LOCAL work_mem = '256MB';
SET LOCAL maintenance_work_mem = '512MB';
SET LOCAL temp_buffers = '256MB';
DROP SCHEMA IF EXISTS datalake_vault, dunning_vault, bookkeeper_vault CASCADE;
\ir schema.sql
\ir functions.sql
\echo customers, accounts, contracts
\ir customers.sql
\echo charges
\ir charges.sql
\echo payments, write-offs, dunning
\ir payments.sql
\echo SAP documents
\ir bookkeeper.sql
\echo keys, indexes, statistics
\ir finish.sql
SQL
sql --command="
    SELECT 'loaded in $((SECONDS - started)) s: '
           || (SELECT count(*) FROM datalake_vault.hub_charge) || ' charges of '
           || (SELECT count(*) FROM datalake_vault.hub_customer) || ' customers, '
           || (SELECT count(*) FROM bookkeeper_vault.hub_document) || ' SAP documents'"

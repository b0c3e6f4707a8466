#!/usr/bin/env bash
# Export speed of one worker slot against psql's COPY: see `export.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../dev/lib.sh
source ../dev/postgres.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/bench/export.sh [--rows N] [--rounds N]

Exports a table alternately with one slot of one worker to file:// and with psql, and prints each time, the medians and
their ratio. psql runs COPY (query) TO STDOUT (FORMAT csv) to /dev/null. The worker exports the same query to files on this
disk, with control totals, file split, SHA-256 and the commit of the result; its time is that of the job, from claim to commit.

  --rows N     number of rows of the table (default 5000000)
  --rounds N   number of measurements of each (default 5)
  --help       print this text
TEXT
}

rows=5000000 rounds=5
while [ $# -gt 0 ]; do
    case $1 in
        --rows | --rounds)
            [ $# -ge 2 ] || fail "$1 needs a value" "See scripts/bench/export.sh --help"
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 '$2' is not a whole number from 1"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/bench/export.sh --help" ;;
    esac
    shift
done

begin
find_swift
need_build_packages
find_postgres
say "building in release mode"
run swift build --configuration release --product bda-coordinator || fail "the build failed"
run swift build --configuration release --product bda-worker || fail "the build failed"
programs=$(swift build --configuration release --show-bin-path)
start_postgres
sql_admin --command='CREATE DATABASE octopus' --command='GRANT CREATE ON DATABASE octopus TO billing_aggregator'
say "making $rows rows"
run_quietly data "$postgres_bin/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=rows="$rows" \
    --dbname="$postgres_admin dbname=octopus" --file=scripts/bench/export/data.sql || fail "the table could not be made"

export BDA_CLIENT_ID=bench BDA_ENVIRONMENT=dev BDA_SCRIPTS_DIR=$repo/scripts/bench/export:$repo/scripts BDA_SYSTEMS=bench
export BDA_DB_HOST=127.0.0.1 BDA_DB_PORT=$postgres_port BDA_DB_USER=billing_aggregator BDA_DB_PASSWORD=$role_password
export BDA_WORKER_SLOTS=1 BDA_LOG_LEVEL=warn PGPASSWORD=$role_password
run_quietly setup "$programs/bda-coordinator" setup || fail "setup failed"
query=$(grep -v '^--' scripts/bench/export/archive/charges.sql)
connection="host=127.0.0.1 port=$postgres_port dbname=octopus user=billing_aggregator"
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

for round in $(seq 0 "$rounds"); do
    start=$(date +%s%N)
    "$postgres_bin/psql" --no-psqlrc --quiet --dbname="$connection" --command="COPY ($query) TO STDOUT (FORMAT csv)" >/dev/null
    psql_ms=$((($(date +%s%N) - start) / 1000000))
    rm -rf "$scratch/out"
    run_quietly "local-$round" "$programs/bda-coordinator" local --workers 1 --partitions 1 --output "$scratch/out" \
        --date 2026-01-15 --new || fail "the run failed"
    worker_ms=$("$postgres_bin/psql" --no-psqlrc --tuples-only --no-align --dbname="$connection" \
        --command="SELECT duration_ms FROM bda.result ORDER BY finished_at DESC LIMIT 1")
    # The first round only warms the caches.
    [ "$round" -gt 0 ] || continue
    printf 'round %d: psql %d ms, worker %d ms\n' "$round" "$psql_ms" "$worker_ms"
    echo "$psql_ms" >>"$scratch/psql.ms"
    echo "$worker_ms" >>"$scratch/worker.ms"
done
bytes=$(du --summarize --bytes "$scratch/out" | cut -f1)
psql_median=$(median <"$scratch/psql.ms") worker_median=$(median <"$scratch/worker.ms")
printf '%d rows, %d MB: psql %d ms, worker %d ms (medians of %d), ratio %s\n' "$rows" "$((bytes / 1000000))" \
    "$psql_median" "$worker_median" "$rounds" "$(awk "BEGIN { printf \"%.2f\", $worker_median / $psql_median }")"

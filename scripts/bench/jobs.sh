#!/usr/bin/env bash
# Measures the throughput of jobs through Kafka and the ledger: see `jobs.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../dev/lib.sh
source ../dev/postgres.sh
source ../dev/kafka.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/bench/jobs.sh [--workers N] [--slots N] [--rounds N]

Runs 4096 empty jobs with a real Kafka and a real ledger, and prints the jobs per second, from the moment at which the job
graph is written to the last result. Uses KAFKA_HOME, or fetches Kafka.

  --workers N   number of worker processes (default 2)
  --slots N     number of slots of each worker (default 4)
  --rounds N    number of measurements (default 3)
  --help        print this text
TEXT
}

workers=2 slots=4 rounds=3
while [ $# -gt 0 ]; do
    case $1 in
        --workers | --slots | --rounds)
            [ $# -ge 2 ] || fail "$1 needs a value" "See scripts/bench/jobs.sh --help"
            [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 '$2' is not a whole number from 1"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/bench/jobs.sh --help" ;;
    esac
    shift
done

begin
find_swift
need_build_packages
find_postgres
find_kafka || fail "Kafka is not available" "Set KAFKA_HOME to an unpacked Apache Kafka."
find_java
say "building in release mode"
run swift build --configuration release --product bda-coordinator || fail "the build failed"
run swift build --configuration release --product bda-worker || fail "the build failed"
programs=$(swift build --configuration release --show-bin-path)
start_postgres
start_kafka
sql_admin --command='CREATE DATABASE octopus' --command='GRANT CREATE ON DATABASE octopus TO billing_aggregator'

export BDA_CLIENT_ID=bench BDA_ENVIRONMENT=dev BDA_SCRIPTS_DIR=$repo/scripts/bench/noop:$repo/scripts BDA_SYSTEMS=noop
export BDA_DB_HOST=127.0.0.1 BDA_DB_PORT=$postgres_port BDA_DB_USER=billing_aggregator BDA_DB_PASSWORD=$role_password
export BDA_KAFKA_BOOTSTRAP_SERVERS=$kafka_bootstrap BDA_OUTPUT=file://$scratch/out
export BDA_WORKER_SLOTS=$slots BDA_DB_MAX_CONNS=$((slots + 2)) BDA_LOG_LEVEL=warn PGPASSWORD=$role_password
mkdir "$scratch/out"
run_quietly setup "$programs/bda-coordinator" setup || fail "setup failed"
for number in $(seq "$workers"); do
    BDA_WORKER_ID=bench-$number start TERM "$programs/bda-worker"
done
for round in $(seq "$rounds"); do
    run_quietly "run-$round" "$programs/bda-coordinator" run --date 2026-01-15 --partitions 1024 --new || fail "the run failed"
    "$postgres_bin/psql" --no-psqlrc --tuples-only --no-align \
        --dbname="host=127.0.0.1 port=$postgres_port dbname=octopus user=billing_aggregator" --command="
        SELECT format('round %s: %s jobs in %s s, %s jobs a second', $round, count(*),
                      round(extract(epoch FROM max(d.finished_at) - r.graph_at), 2),
                      round(count(*) / extract(epoch FROM max(d.finished_at) - r.graph_at)))
        FROM (SELECT * FROM bda.run ORDER BY run_id DESC LIMIT 1) AS r
        JOIN bda.job AS j ON j.run_id = r.run_id JOIN bda.result AS d ON d.job_id = j.job_id GROUP BY r.graph_at"
done

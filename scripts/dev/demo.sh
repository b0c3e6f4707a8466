#!/usr/bin/env bash
# Runs a whole business date on this machine, from an empty database to a manifest: see `demo.sh --help`.
set -euo pipefail
started_in=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./lib.sh
source ./postgres.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/dev/demo.sh [--date DATE] [--scale N] [--workers N] [--output DIR] [--keep]

Installs missing packages (apt; it prints their names), builds in release mode, starts a temporary PostgreSQL server, loads
the sample warehouse and runs `bda-coordinator local`: the coordinator, worker processes, a broker in memory, and files
instead of S3. The exported files are kept; everything else is stopped and removed at the end, or on Ctrl-C.

  --date DATE    the business date (default 2026-01-15: the same date gives the same figures everywhere)
  --scale N      size of the sample data: 1 takes seconds, 1000 is tens of millions of charges (default 1)
  --workers N    number of worker processes (default 2)
  --output DIR   folder of the exported files (default out/demo in this repository, emptied first)
  --keep         keep PostgreSQL running until Ctrl-C, and print how to connect to it
  --help         print this text

examples:
  scripts/dev/demo.sh
  scripts/dev/demo.sh --scale 20 --workers 4 --keep
TEXT
}

date=2026-01-15 scale=1 workers=2 output='' keep=''
while [ $# -gt 0 ]; do
    case $1 in
        --date | --scale | --workers | --output)
            [ $# -ge 2 ] || fail "$1 needs a value" "See scripts/dev/demo.sh --help"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --keep) keep=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/dev/demo.sh --help" ;;
    esac
    shift
done
[[ $date =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || fail "--date '$date' is not a date like 2026-01-15"
[[ $scale =~ ^([1-9][0-9]{0,4}|0\.[0-9]{1,3})$ ]] ||
    fail "--scale '$scale' is neither a whole number from 1 to 99999 nor a fraction like 0.1"
[[ $workers =~ ^[1-9][0-9]*$ ]] || fail "--workers '$workers' is not a whole number from 1"

begin
find_swift
need_build_packages
find_postgres

say "building in release mode (the first time takes some minutes)"
run swift build --configuration release --product bda-coordinator || fail "the build failed"
run swift build --configuration release --product bda-worker || fail "the build failed"
programs=$(swift build --configuration release --show-bin-path)

say "starting a temporary PostgreSQL server"
start_postgres
sql_admin --command='CREATE DATABASE octopus'

say "loading the sample warehouse, scale $scale"
export PGHOST=$postgres_socket PGPORT=$postgres_port PGUSER=postgres PGDATABASE=octopus PATH=$postgres_bin:$PATH
run scripts/sample/load.sh --scale "$scale" --date "$date" || fail "the sample warehouse could not be loaded"
run_quietly role psql --no-psqlrc --quiet --file=deploy/postgres/role.sql || fail "the role's rights could not be granted"
unset PGHOST PGPORT PGUSER PGDATABASE

if [ -z "$output" ]; then
    output=$repo/out/demo
    rm -rf "$output"
elif [ "${output#/}" = "$output" ]; then
    output=$started_in/$output
fi
mkdir -p "$output"

export BDA_CLIENT_ID=sample BDA_ENVIRONMENT=dev BDA_SCRIPTS_DIR=$repo/scripts
export BDA_DB_HOST=127.0.0.1 BDA_DB_PORT=$postgres_port BDA_DB_NAME=octopus BDA_DB_USER=billing_aggregator
export BDA_DB_PASSWORD=$role_password
say "bda-coordinator setup"
run "$programs/bda-coordinator" setup
say "bda-coordinator local --date $date --workers $workers --output $output"
run "$programs/bda-coordinator" local --date "$date" --workers "$workers" --output "$output"

echo
say "done. The files lie in $output"
if [ -n "$keep" ]; then
    cat <<TEXT

PostgreSQL runs until you press Ctrl-C. In another terminal:
    psql "$postgres_admin dbname=octopus"
    ls -R '$output'
TEXT
    run sleep infinity
fi

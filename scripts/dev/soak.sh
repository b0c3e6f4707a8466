#!/usr/bin/env bash
# Plays many seeded scenarios of faults against a fleet: see `soak.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./lib.sh
source ./postgres.sh
source ./kafka.sh
source ./s3.sh
source ./servers.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/dev/soak.sh [--scenarios N] [--seed S] [--from I] [--fault TEXT] [--only I] [--broker-away N]

Builds, starts throw-away servers on free ports of 127.0.0.1 (PostgreSQL, Apache Kafka, SeaweedFS) and plays scenarios:
a coordinator and workers as real processes export a business date while they are killed, frozen and stopped, servers are
restarted or stay away, connections are cut, delayed and silenced, S3 answers wrongly, topics carry forged messages or are
missing, readers hold views, the next version is set up in mid-run, and clocks are wrong.
One line each says number, seed, outcome, seconds, the faults with the moment of each, and in brackets how programs
ended that did not end well. Every twenty scenarios in a row have each kind of fault.

  --scenarios N    how many (default 200, ten to thirty seconds each)
  --seed S         which: the same seed and number are the same scenario (default 1)
  --from I         begins with scenario I of the seed (default 0): to go on with a soak, or to play it in parts at once
  --fault TEXT     only scenarios with a fault whose name holds the text; docs/reliability.md has the names
  --only I         only scenario I of the seed, counted from 0
  --broker-away N  how many seconds the broker stays away where it does (default 120)
  --help           this text

The exit code is 1 when an outcome was wrong: an export that differs from that of an undisturbed run, a program that ended
with an exit code it should not have, a date that was not complete after the faults were over, or anything left behind.
What the programs of such a scenario wrote is kept in .build/soak-logs.

environment:
  KAFKA_HOME, TMPDIR    as for scripts/dev/test.sh

examples:
  scripts/dev/soak.sh
  scripts/dev/soak.sh --scenarios 20 --seed 7
  scripts/dev/soak.sh --fault 'coordinator killed' --scenarios 5
  scripts/dev/soak.sh --seed 7 --only 3
TEXT
}

scenarios=200 seed=1 from=0 only='' kind='' away=120
while [ $# -gt 0 ]; do
    case $1 in
        --scenarios | --seed | --from | --only)
            [[ ${2:-} =~ ^[0-9]{1,9}$ ]] || fail "$1 needs a number" "See scripts/dev/soak.sh --help"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --broker-away)
            [[ ${2:-} =~ ^[0-9]{1,4}$ ]] || fail "$1 needs a number of seconds" "See scripts/dev/soak.sh --help"
            away=$2
            shift
            ;;
        --fault)
            [ -n "${2:-}" ] || fail "--fault needs a value" "docs/reliability.md has the names of faults"
            kind=$2
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/dev/soak.sh --help" ;;
    esac
    shift
done
[ "$scenarios" -gt 0 ] || fail "--scenarios needs a number above 0"

begin
find_swift
need_build_packages
make_wrong_clock
find_python_tools
find_postgres
find_pooler
find_kafka || fail "scenarios need a real Kafka" "Set KAFKA_HOME to an unpacked Apache Kafka."
find_java
build_tests
start_test_servers with-kafka

logs=$repo/.build/soak-logs
rm -rf "$logs"
export BDA_TEST_FAULTS=1 BDA_TEST_FAULTS_SCENARIOS=$scenarios BDA_TEST_FAULTS_SEED=$seed BDA_TEST_FAULTS_LOGS=$logs
export BDA_TEST_FAULTS_KIND=$kind BDA_TEST_FAULTS_FROM=$from BDA_TEST_FAULTS_ABSENCE=$away
export BDA_TEST_FAULTS_REPORT=$scratch/log/scenarios
if [ -n "$only" ]; then
    export BDA_TEST_FAULTS_ONLY=$only
    say "scenario $only of seed $seed"
else
    say "$scenarios scenarios of seed $seed from $from on${kind:+ with '$kind'}"
fi
: >"$BDA_TEST_FAULTS_REPORT"
spawn TERM tail -n +1 -f "$BDA_TEST_FAULTS_REPORT"
tail=$started
status=0
NO_COLOR=1 run_tests --filter FaultTests/scenario >"$scratch/log/tests.log" 2>&1 || status=$?
sleep 0.5 # for the last line to be shown
kill "$tail" 2>/dev/null || true

wrong=$(grep -c '^[0-9]*  seed [0-9]*  WRONG' "$BDA_TEST_FAULTS_REPORT") || true
played=$(grep -c '^[0-9]*  seed' "$BDA_TEST_FAULTS_REPORT") || true
printf '\n%s scenarios, %s wrong\n' "$played" "$wrong"
if [ "$status" -ne 0 ] || [ "$wrong" -ne 0 ] || [ "$played" -eq 0 ]; then
    mkdir -p "$logs"
    cp -r "$scratch/log" "$logs/servers"
    [ "$played" -gt 0 ] || [ -z "$kind" ] || fail "no scenario was played" "Is there a fault '$kind'? docs/reliability.md has the names."
    fail "not all outcomes were right" "What programs, tests and servers wrote lies in $logs"
fi

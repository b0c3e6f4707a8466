#!/usr/bin/env bash
# Runs many seeded fault scenarios against a fleet: see `soak.sh --help`.
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

Builds, starts temporary servers on free ports of 127.0.0.1 (PostgreSQL, Apache Kafka, SeaweedFS) and runs scenarios: a
coordinator and workers as real processes export a business date while processes are killed, frozen and stopped, servers
are restarted or unreachable, connections are cut, delayed and silenced, S3 returns wrong responses, topics contain forged
messages or are missing, readers lock views, the next version is set up during the run, and clocks are wrong.
Each scenario prints one line with number, seed, outcome, seconds, the faults and their moments, and in brackets the
endings of programs that failed. Twenty consecutive scenarios contain each kind of fault.

  --scenarios N    number of scenarios (default 200, ten to thirty seconds each)
  --seed S         seed of the scenarios: the same seed and number give the same scenario (default 1)
  --from I         begin with scenario I of the seed (default 0), to continue a soak or to run parts of it in parallel
  --fault TEXT     run only scenarios with a fault name that contains the text; docs/reliability.md lists the names
  --only I         run only scenario I of the seed, counted from 0
  --broker-away N  seconds for which the fault 'broker away' stops the broker (default 120)
  --help           print this text

The exit code is 1 if an outcome is wrong: an export that differs from that of an undisturbed run, a program that ended
with a wrong exit code, a date that was not complete after the faults, or remains of any kind. The output of the programs
of such a scenario is kept in .build/soak-logs.

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
            [ -n "${2:-}" ] || fail "--fault needs a value" "docs/reliability.md lists the names of faults"
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
    [ "$played" -gt 0 ] || [ -z "$kind" ] || fail "no scenario was run" "Check the name of the fault '$kind'; docs/reliability.md lists the names."
    fail "at least one outcome was wrong" "The output of programs, tests and servers is in $logs"
fi

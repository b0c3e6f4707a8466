#!/usr/bin/env bash
# Runs all linters and tests against real servers, which it starts and stops: see `test.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./lib.sh
source ./certificates.sh
source ./postgres.sh
source ./kafka.sh
source ./s3.sh
source ./servers.sh
source ./lint.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/dev/test.sh [--filter REGEX] [--skip-lint]

Installs missing packages (apt, pip; it prints their names), builds with warnings as errors, starts temporary servers on
free ports of 127.0.0.1 (PostgreSQL, Apache Kafka, SeaweedFS, moto), runs the linters, all tests and twenty fault
scenarios (soak.sh runs more), and stops the servers.

  --filter REGEX   run only tests with a matching name, as in `swift test --filter`
  --skip-lint      skip the linters
  --help           print this text

environment:
  KAFKA_HOME                  folder of an unpacked Apache Kafka; without it the official archive is fetched once and kept
                              in ~/.cache/billing-data-aggregator; if the archive is unreachable, the fleet tests use
                              librdkafka's mock cluster, which the last lines report
  KAFKA_SCRAM_HOME            folder of an unpacked Apache Kafka 3 for the SCRAM tests, because librdkafka before 2.6.1
                              supports SCRAM with Kafka 3 only; without it these tests are skipped, which the last lines
                              report
  BDA_TEST_REQUIRE_KAFKA=1    fail if Kafka would be skipped
  BDA_TEST_SEEDS=FIRST-LAST   seeds of the random warehouses whose exports are recomputed (default 1-6)
  TMPDIR                      folder for the files of the servers during the tests (default /tmp)

examples:
  scripts/dev/test.sh
  scripts/dev/test.sh --skip-lint --filter PostgresTests
  BDA_TEST_SEEDS=1-200 scripts/dev/test.sh --skip-lint --filter randomWarehouses
TEXT
}

filter=() with_lint=yes
while [ $# -gt 0 ]; do
    case $1 in
        --filter)
            [ $# -ge 2 ] || fail "--filter needs a value" "See scripts/dev/test.sh --help"
            filter=(--filter "$2")
            shift
            ;;
        --skip-lint) with_lint=no ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/dev/test.sh --help" ;;
    esac
    shift
done

begin
find_swift
need_build_packages
find_python_tools
find_postgres
find_pooler
with_kafka=
if find_kafka; then
    find_java
    with_kafka=yes
elif [ "${BDA_TEST_REQUIRE_KAFKA:-0}" = 1 ]; then
    fail "Kafka is not available, and BDA_TEST_REQUIRE_KAFKA=1 requires it" "Set KAFKA_HOME to an unpacked Apache Kafka."
fi

if [ "$with_lint" = yes ]; then
    say "linters"
    lint
fi

build_tests
make_certificates
if [ -n "${KAFKA_SCRAM_HOME:-}" ] && [ -n "$with_kafka" ]; then
    say "starting Kafka 3 beside all else"
    launch_kafka_3
fi
start_test_servers "$with_kafka"
say "starting moto"
start_moto
if [ -n "${kafka_scram:-}" ]; then
    wait_for_kafka_3
    export BDA_TEST_KAFKA_SCRAM=$kafka_scram
fi
export BDA_TEST_MOTO=$moto_endpoint
export BDA_TEST_PYTHON=$python_tools/bin/python

[ -t 1 ] || export NO_COLOR=1
status=0 summary=

# phase OPTION...: runs tests; adds to $status and $summary.
phase() {
    exec {output}> >(exec setsid tee -a "$scratch/log/tests.log")
    tee=$!
    run_tests "$@" >&"$output" 2>&1 || status=$?
    exec {output}>&-
    wait "$tee"
    summary=$(grep -o 'Test run with .*' "$scratch/log/tests.log") || true
}

say "testing"
if [ ${#filter[@]} -gt 0 ]; then
    make_wrong_clock
    BDA_TEST_FAULTS=1 phase "${filter[@]}"
else
    phase
    # These tests restart servers, so they run alone.
    if [ -n "$with_kafka" ]; then
        make_wrong_clock
        say "testing faults"
        BDA_TEST_FAULTS=1 phase --filter '^FleetTests.FaultTests'
    fi
fi

echo
case $summary in
    *" 0 tests"*) fail "no test ran" ${filter[@]:+"No test's name matches '${filter[1]}'."} ;;
esac
if [ "$status" -ne 0 ]; then
    logs=$repo/.build/test-logs
    rm -rf "$logs"
    cp -r "$scratch/log" "$logs"
    printf 'FAILED (%s). The output of tests and servers is in %s\n' "$status" "$logs"
    exit 1
fi
printf '%s\nPASSED' "$summary"
[ ${#filter[@]} -eq 0 ] || printf ', with --filter only'
[ "$with_lint" = yes ] || printf ', without the linters'
printf '.\n'
if [ -z "$with_kafka" ]; then
    cat <<TEXT

SKIPPED: everything that needs a real Kafka. apache.org could not be reached, so the fleet test ran on librdkafka's
mock cluster, which keeps nothing and knows no authentication. To run all of it:
    download Apache Kafka $kafka_version from https://kafka.apache.org/downloads and unpack it, then
    KAFKA_HOME=/path/to/it scripts/dev/test.sh
TEXT
elif [ -z "${kafka_scram:-}" ]; then
    printf 'SKIPPED: log-in by SCRAM to Kafka 3, because KAFKA_SCRAM_HOME is not set.\n'
fi

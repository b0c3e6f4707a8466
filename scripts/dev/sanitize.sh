#!/usr/bin/env bash
# Runs the tests under a sanitizer: see `sanitize.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./lib.sh
source ./certificates.sh
source ./postgres.sh
source ./kafka.sh
source ./s3.sh
source ./servers.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/dev/sanitize.sh thread|address [--filter REGEX]

Builds everything with Thread Sanitizer or with Address Sanitizer (and its leak detection) in a separate build folder,
.build-thread or .build-address, starts the same servers as test.sh, and runs all tests except those that start the
programs (FleetTests). The exit code is 1 if a test fails or the sanitizer reports an error. The suppressed reports and
their reasons are in scripts/dev/sanitize-thread.supp and scripts/dev/sanitize-leaks.supp.

  --filter REGEX   run only tests with a matching name
  --help           print this text

environment: as for test.sh
TEXT
}

# Tests run one after the other: slow tests in parallel would wait for a thread until their time limit.
kind='' filter=(--no-parallel --skip FleetTests)
while [ $# -gt 0 ]; do
    case $1 in
        thread | address) kind=$1 ;;
        --filter)
            [ $# -ge 2 ] || fail "--filter needs a value" "See scripts/dev/sanitize.sh --help"
            filter+=(--filter "$2")
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/dev/sanitize.sh --help" ;;
    esac
    shift
done
[ -n "$kind" ] || fail "no sanitizer is named" "scripts/dev/sanitize.sh thread" "scripts/dev/sanitize.sh address"

begin
find_swift
need_build_packages
find_python_tools
find_postgres
with_kafka=
if find_kafka; then
    find_java
    with_kafka=yes
fi

build_options=(--scratch-path ".build-$kind" --sanitize "$kind")
# Tests/KafkaTests/ThreadSanitizerSupport.swift has the reason.
[ "$kind" = address ] || build_options+=(-Xlinker --export-dynamic)
build_tests
make_certificates
start_test_servers "$with_kafka"
say "starting moto"
start_moto
export BDA_TEST_MOTO=$moto_endpoint
export BDA_TEST_PYTHON=$python_tools/bin/python

# Reports are written to files, so that lines of Swift Testing do not interrupt them.
reports=$scratch/log/$kind
common=log_path=$reports:external_symbolizer_path=$(dirname "$(readlink -f "$(command -v swift)")")/llvm-symbolizer
if [ "$kind" = thread ]; then
    export TSAN_OPTIONS=$common:halt_on_error=0:suppressions=$repo/scripts/dev/sanitize-thread.supp
else
    export ASAN_OPTIONS=$common:detect_leaks=1:detect_stack_use_after_return=0
    export LSAN_OPTIONS=suppressions=$repo/scripts/dev/sanitize-leaks.supp:print_suppressions=0
fi

say "testing"
[ -t 1 ] || export NO_COLOR=1
status=0
begun=$SECONDS
run_tests "${filter[@]}" >"$scratch/log/tests.log" 2>&1 || status=$?
took=$((SECONDS - begun))

count=$(cat "$reports".* 2>/dev/null | grep -c -E '^(WARNING: ThreadSanitizer|==[0-9]+==ERROR: )') || true
grep -E '✘|Test run with' "$scratch/log/tests.log" || true
printf '%s: %s s, %s reports\n' "$kind" "$took" "$count"
if [ "$status" -ne 0 ] || [ "$count" -ne 0 ]; then
    logs=$repo/.build-$kind/test-logs
    rm -rf "$logs"
    cp -r "$scratch/log" "$logs"
    cat "$reports".* 2>/dev/null | grep -E '^SUMMARY' | sort | uniq -c | sort -rn || true
    printf 'FAILED (%s). The output of tests and servers is in %s\n' "$status" "$logs"
    exit 1
fi
printf 'PASSED.\n'

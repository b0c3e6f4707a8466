# shellcheck shell=bash
# Starts the servers of test.sh, soak.sh and sanitize.sh, and the test program. Source it after
# lib.sh, postgres.sh, kafka.sh and s3.sh; it needs `begin` and the results of the find_… functions.

# start_test_servers WITH_KAFKA: starts PostgreSQL, SeaweedFS, and Kafka unless the argument is empty; exports their
# addresses. With $certificates (certificates.sh) the servers also accept TLS.
start_test_servers() {
    say "starting PostgreSQL"
    start_postgres
    if [ -n "$1" ]; then
        say "starting Kafka"
        start_kafka
        export BDA_TEST_KAFKA=$kafka_bootstrap BDA_TEST_REQUIRE_KAFKA=1 BDA_TEST_KAFKA_PID=$kafka_pid
        export BDA_TEST_KAFKA_PROXY_PORT=$kafka_proxy_port BDA_TEST_KAFKA_BEHIND_PROXY_PORT=$kafka_behind_proxy_port
        if [ -n "${certificates:-}" ]; then
            export BDA_TEST_KAFKA_SSL=$kafka_ssl BDA_TEST_KAFKA_MTLS=$kafka_mtls BDA_TEST_KAFKA_SASL=$kafka_sasl
            export BDA_TEST_KAFKA_EXPIRED=$kafka_expired BDA_TEST_KAFKA_PASSWORD=$kafka_password
        fi
    fi
    say "starting SeaweedFS"
    export AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret
    start_seaweedfs bda-test

    if [ -n "${certificates:-}" ]; then
        export BDA_TEST_CERTIFICATES=$certificates BDA_TEST_S3_TLS=$s3_tls_endpoint
    fi
    export BDA_TEST_POSTGRES=$postgres_admin BDA_TEST_REQUIRE_POSTGRES=1 BDA_TEST_POSTGRES_PID=$postgres_pid
    export BDA_TEST_ROLE_PASSWORD=$role_password
    export BDA_TEST_S3=$s3_endpoint BDA_TEST_S3_BUCKET=bda-test BDA_TEST_REQUIRE_S3=1
    BDA_TEST_BIN=$(swift build "${build_options[@]}" --show-bin-path)
    export BDA_TEST_BIN
    # psql must have the same version as the server.
    export PATH=$postgres_bin:$PATH
}

# make_wrong_clock: exports $BDA_TEST_WRONG_CLOCK, a library that gives a program a wrong clock.
make_wrong_clock() {
    export BDA_TEST_WRONG_CLOCK=$scratch/wrong-clock.so
    # Swift brings the compiler.
    run_quietly wrong-clock "$(dirname "$(readlink -f "$(command -v swift)")")/clang" -shared -fPIC -O1 -Wall -Wextra -Werror \
        -o "$BDA_TEST_WRONG_CLOCK" "$repo/scripts/dev/wrong-clock.c" -ldl || fail "scripts/dev/wrong-clock.c does not compile"
}

# The flag is here and not in Package.swift, so that a new warning of a later Swift does not break the build of a clone.
strict=(-Xswiftc -warnings-as-errors --explicit-target-dependency-import-check error)

# Further options of the build, such as a sanitizer and a separate build folder.
build_options=()

build_tests() {
    say "building (warnings are errors)"
    run swift build --build-tests "${strict[@]}" "${build_options[@]}" || fail "the build failed (warnings count as errors)"
}

# run_tests OPTION...: runs the test program as SwiftPM would, from the path that SwiftPM 6 uses. Without a terminal
# `swift test` prints its output only at the end, so a test that hangs in continuous integration would leave no output.
run_tests() {
    local tests=$BDA_TEST_BIN/billing-data-aggregatorPackageTests.xctest
    if [ -x "$tests" ]; then
        tests=("$tests" --testing-library swift-testing)
    else
        tests=(swift test --skip-build --disable-xctest "${strict[@]}")
    fi
    end_with=KILL run "${tests[@]}" "$@"
}

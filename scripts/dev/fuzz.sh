#!/usr/bin/env bash
# Searches for inputs that break a decoder: see `fuzz.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ./lib.sh
cd "$repo"

corpus=$repo/Tests/Fuzz/corpus found=$repo/.build-fuzz/found

usage() {
    cat <<'TEXT'
usage: scripts/dev/fuzz.sh [--target NAME] [--seconds N] [--merge]

Runs the fuzz targets of Tests/Fuzz under the toolchain's libFuzzer, guided by coverage, with Address Sanitizer, one
after the other in a separate build folder (.build-fuzz). Inputs that cause a failure are kept in .build-fuzz/found/, and
the exit code is then 1. To keep such an input, put it into Tests/Fuzz/corpus/<target>/ and correct the decoder: the
ordinary tests run every stored input.

  --target NAME   run only this target, a folder of Tests/Fuzz/corpus
  --seconds N     time for each target (default 60)
  --merge         also add a minimal set of inputs that reached new code to the stored corpus
  --help          print this text

examples:
  scripts/dev/fuzz.sh --target lexer --seconds 600
  scripts/dev/fuzz.sh --target lexer --seconds 0        # the stored inputs only
TEXT
}

targets=() seconds=60 merge=no
while [ $# -gt 0 ]; do
    case $1 in
        --target | --seconds)
            [ $# -ge 2 ] || fail "$1 needs a value" "See scripts/dev/fuzz.sh --help"
            if [ "$1" = --target ]; then targets+=("$2"); else seconds=$2; fi
            shift
            ;;
        --merge) merge=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/dev/fuzz.sh --help" ;;
    esac
    shift
done
[[ $seconds =~ ^[0-9]+$ ]] || fail "--seconds '$seconds' is not a number of seconds" "--seconds 60"
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls "$corpus")
for target in "${targets[@]}"; do
    [ -d "$corpus/$target" ] || fail "no target '$target'" "There are: $(ls -C -w 0 "$corpus")"
done

begin
find_swift
need_build_packages

# The toolchain's library is linked as a whole, because the test program references no function of it. Only the
# compiler's front end gets the fuzzer option: the driver would also link a `main`, which the test program already has.
resources=$(swift -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)",*/\1/p')
library=$(find "$resources/clang/lib/" -name "libclang_rt.fuzzer_no_main*$(uname -m).a" | head -n 1)
[ -n "$library" ] || fail "this Swift toolchain has no libFuzzer" "Looked for libclang_rt.fuzzer_no_main below $resources"

say "building with coverage counters and Address Sanitizer"
build=(swift build --build-tests --scratch-path .build-fuzz --sanitize address -Xswiftc -Xfrontend
    -Xswiftc "-sanitize=address,fuzzer" -Xlinker --whole-archive -Xlinker "$library" -Xlinker --no-whole-archive
    -Xlinker --export-dynamic -Xlinker -lstdc++)
run "${build[@]}" || fail "the build failed"
program=$(swift build --scratch-path .build-fuzz --show-bin-path)/billing-data-aggregatorPackageTests.xctest

# libFuzzer starts its first argument again to merge, so that must be a program that takes libFuzzer's options.
wrapper=$scratch/fuzz
cat >"$wrapper" <<TEXT
#!/usr/bin/env bash
BDA_TEST_FUZZ_PROGRAM=\$0 BDA_TEST_FUZZ_ARGUMENTS=\$(printf '%s\n' "\$@") \\
    exec "$program" --testing-library swift-testing --filter CoverageGuidedFuzzing
TEXT
chmod +x "$wrapper"
# Swift's own report of a crash would come before libFuzzer has kept the input.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0

status=0
for target in "${targets[@]}"; do
    say "$target, $seconds seconds"
    export BDA_TEST_FUZZ_TARGET=$target
    work=$scratch/corpus-$target
    mkdir -p "$found/$target" "$work"
    limit=("-max_total_time=$seconds")
    [ "$seconds" -gt 0 ] || limit=(-runs=0)
    run nice "$wrapper" "${limit[@]}" -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$found/$target/" "$work" "$corpus/$target" >"$scratch/log/$target.log" 2>&1 || {
        status=1
        cp "$scratch/log/$target.log" "$found/$target.log"
        # The failed expectation or the sanitizer's report, and the file of the input.
        grep -a -E 'Fatal error|ERROR: |Test unit written' "$scratch/log/$target.log" | cut -c 1-400 || true
        printf '    all of it: %s\n' "$found/$target.log"
    }
    grep -a -E '^#[0-9]+.(INITED|DONE)|^stat::number_of_executed' "$scratch/log/$target.log" || true
    if [ "$merge" = yes ]; then
        # Only covered edges count and not their frequency, so the corpus remains small.
        run nice "$wrapper" -set_cover_merge=1 -use_counters=0 -max_len=1024 -timeout=20 \
            -artifact_prefix="$found/$target/" "$corpus/$target" "$work" >"$scratch/log/merge.log" 2>&1 || show_log merge
        printf '    %s inputs in the corpus\n' "$(find "$corpus/$target" -type f | wc -l)"
    fi
done
[ "$status" -eq 0 ] || fail "a fuzz target failed" "The failing inputs are in $found"

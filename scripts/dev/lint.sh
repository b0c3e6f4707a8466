# shellcheck shell=bash
# Runs the linters. Source it after lib.sh and s3.sh; it needs $python_tools. All linters run before failures are
# counted.

lint() {
    local failures=0 tools=$python_tools/bin programs=() yaml=()
    # Files that are sourced have no first line with an interpreter; shellcheck follows `source` to them.
    mapfile -t programs < <(git grep --untracked -l -E '^#!.*sh$')
    mapfile -t yaml < <(git ls-files --cached --others --exclude-standard '*.yaml' '*.yml')

    check "swift format" swift format lint --strict --parallel --recursive Sources Tests Package.swift
    check "module borders" scripts/dev/imports.sh
    check "shellcheck" "$tools/shellcheck" --external-sources --check-sourced --source-path=SCRIPTDIR \
        --exclude=SC2016 "${programs[@]}"
    check "hadolint" "$tools/hadolint" Dockerfile
    check "yamllint" "$tools/yamllint" --strict --config-data "{extends: default, rules: {line-length: {max: 120},
        document-start: disable, truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}" "${yaml[@]}"
    check "workflow" "$tools/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
    ! command -v actionlint >/dev/null || check "actionlint" actionlint
    check "compose file" "$tools/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
    check "kubernetes" "$tools/kubernetes-validate" --strict --quiet deploy/kubernetes/*.yaml
    [ "$failures" -eq 0 ] || fail "$failures linters reported errors"
}

check() {
    local name=$1 status=0
    shift
    run "$@" >"$scratch/log/lint.log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        printf '    %-16s ok\n' "$name"
    else
        printf '    %-16s failed\n' "$name"
        cat "$scratch/log/lint.log"
        failures=$((failures + 1))
    fi
}

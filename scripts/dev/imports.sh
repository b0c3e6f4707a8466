#!/usr/bin/env bash
# Checks the borders of the modules (docs/architecture.md): an import points to a lower row only, never to the same
# one; one module imports each C library, and no test does; all other imports are modules of the toolchain. A
# source file has at most 400 lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The rows from top to bottom, then `C library: the module that may import it`.
table='
row Coordinator Worker
row ProgramSettings
row Warehouse
row Ledger CloudEventsKafka
row Scripts
row Postgres Kafka ObjectStore JobModel
row HealthEndpoint
row ServiceLifecycle Settings
row Logging Metrics CommandLineOptions
row Timing
row Bytes BlockingIO
c CLibPQ Postgres
c CLibRdKafka Kafka
c CLibCurl ObjectStore
c CMicroHTTPD HealthEndpoint
c CLibCrypto Bytes
c CZlib Bytes
c CZstd Bytes
toolchain Dispatch Foundation FoundationEssentials FoundationXML Glibc Synchronization Testing
'

find Sources Tests -name '*.swift' -print0 | sort -z | xargs -0 awk -v table="$table" '
    function complain(text) {
        printf "%s:%d: %s\n", FILENAME, FNR, text
        failed = 1
    }
    BEGIN {
        count = split(table, lines, "\n")
        for (i = 1; i <= count; i++) {
            words = split(lines[i], word, " ")
            for (j = 2; j <= words; j++) {
                if (word[1] == "row") row[word[j]] = i
                if (word[1] == "toolchain") toolchain[word[j]] = 1
            }
            if (word[1] == "c") owner[word[2]] = word[3]
        }
    }
    FNR == 1 {
        in_text = 0
        split(FILENAME, path, "/")
        test = path[1] == "Tests"
        module = path[2] == "Shared" ? path[3] : path[2]
        if (!test && !(module in row)) complain("module " module " is in no row of scripts/dev/imports.sh")
    }
    FNR == 401 && !test { complain("a source file has at most 400 lines") }
    # Multi-line literals contain programs in other languages.
    {
        was_in_text = in_text
        if (gsub(/"""/, "&") % 2) in_text = !in_text
        if (was_in_text) next
    }
    # With attributes, access level and kind: `@testable import X`, `internal import struct X.Y`.
    /^[ \t]*(@[A-Za-z_()]+[ \t]+)*((public|package|internal|fileprivate|private)[ \t]+)?import[ \t]/ {
        name = $0
        sub(/^.*import[ \t]+/, "", name)
        sub(/^(struct|class|enum|protocol|typealias|func|let|var|actor)[ \t]+/, "", name)
        sub(/[^A-Za-z0-9_].*$/, "", name)
        if (name in owner) {
            if (test || owner[name] != module) complain(name " may be imported by " owner[name] " only")
        } else if (name in row) {
            if (!test && row[name] <= row[module])
                complain(module " imports " name ", which is " (row[name] == row[module] ? "beside" : "above") " it")
        } else if (!(name in toolchain) && !(test && name == "TestSupport")) {
            complain(name " is neither a module of this package nor one of those the toolchain brings for it")
        }
    }
    END { exit failed }
'

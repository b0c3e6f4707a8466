#!/usr/bin/env bash
# Measures the cost of partitioning for the database: see `partitioning.sh --help`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../dev/lib.sh
source ../dev/postgres.sh
cd "$repo"

usage() {
    cat <<'TEXT'
usage: scripts/bench/partitioning.sh [--scale S] [--turns N] [--partitions N]

Runs every init segment and the archive of every dataset over the sample warehouse, alternately unpartitioned (N = 1) and for
each of N partitions, on one connection to a temporary PostgreSQL server. Prints for each segment the wall time, the CPU time
of the server process and its accessed buffers, each summed over the partitions, and the ratio to the unpartitioned run.
Compares the rows of both runs, and shows the plans of the costliest segments. Needs neither Swift nor Kafka.

  --scale S       as of scripts/sample/load.sh (default 177: 5 million charges, 15 GB of disk, an hour on two cores)
  --turns N       number of measurements of each run (default 3)
  --partitions N  number of partitions (default 16)
  --help          print this text
TEXT
}

scale=177 turns=3 partitions=16
while [ $# -gt 0 ]; do
    case $1 in
        --scale | --turns | --partitions)
            [ $# -ge 2 ] || fail "$1 needs a value" "See scripts/bench/partitioning.sh --help"
            [ "$1" = --scale ] || [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || fail "$1 '$2' is not a whole number from 1 to 9999"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option '$1'" "See scripts/bench/partitioning.sh --help" ;;
    esac
    shift
done
[ "$partitions" -gt 1 ] || fail "--partitions 1 is the run that the others are compared with" "Use 2 or more."

begin
find_postgres
start_postgres
export PGHOST=$postgres_socket PGPORT=$postgres_port PGUSER=postgres PGDATABASE=octopus PATH=$postgres_bin:$PATH
sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }
sql_admin --command='CREATE DATABASE octopus'
say "loading the sample warehouse, scale $scale"
run scripts/sample/load.sh --scale "$scale" || fail "the sample could not be loaded"
# The rows of a vault are stored in the order of its loads. Those of the sample are stored by account, which would
# favour the partitions: the rows of one partition would be adjacent.
say "putting the rows in the order of their loads"
run_quietly order psql --no-psqlrc --set=ON_ERROR_STOP=1 --file=scripts/bench/partitioning/load_order.sql || fail "CLUSTER failed"
run_quietly vacuum vacuumdb --analyze || fail "VACUUM failed"
# In production, jobs follow each other before autovacuum processes their tables, so here it is off.
sql --command='ALTER SYSTEM SET autovacuum = off' --command='SELECT pg_reload_conf()' >"$scratch/log/reload.log"
migrations=(scripts/migrations/*.sql)
run_quietly ledger psql --no-psqlrc --set=ON_ERROR_STOP=1 "${migrations[@]/#/--file=}" ||
    fail "the ledger could not be made"

declare -A file_of
for file in scripts/init/*.sql scripts/archive/*.sql; do
    ! grep -q '^-- @split' "$file" || fail "$file is not split by bucket: this script cannot measure it"
    file_of[$(sed -n 's/^-- @segment *//p' "$file")]=$file
done
# tsort puts needed segments first.
mapfile -t segments < <(for segment in "${!file_of[@]}"; do
    echo "$segment $segment"
    for need in $(sed -n 's/^-- @needs *//p' "${file_of[$segment]}" | tr -d ,); do echo "$need $segment"; done
done | sort | tsort)

# session N: prints the begin of a psql script: the parameters of N partitions, and the settings of a worker's session.
# Parallel workers are off, because their CPU time would count for other processes.
session() {
    cat <<SQL
\\set work bda_run_$1
\\set partition_count $1
\\set run_id bench_$1
\\set business_date 2026-01-15
\\set cutoff '2026-01-16 05:00 Europe/Berlin'
\\set client_id bench
\\set environment dev
SET client_min_messages = warning; SET TimeZone = 'UTC'; SET jit = off; SET max_parallel_workers_per_gather = 0; SET search_path = pg_catalog, pg_temp;
SELECT pg_backend_pid() AS backend \\gset
\\setenv backend :backend
SQL
}

# mark NAME: makes psql record the time, and the CPU time (user, system) of its server process.
mark() {
    printf '\\! echo %s $(date +%%s%%N) $(sed "s/.*) //" /proc/$backend/stat | cut -d" " -f12,13) >>%s\n' "$1" "$scratch/marks"
}

# turn N: prints the psql script of one measurement: it creates the run's tables as the coordinator does, then runs each
# segment for each partition as a worker does. EXPLAIN ANALYZE runs an init segment and reports its plan; an archive is
# copied out.
turn() {
    local file segment partition
    session "$1"
    echo 'DROP SCHEMA IF EXISTS :"work" CASCADE; CREATE SCHEMA :"work";'
    for file in scripts/tables/*.sql; do
        # A table name with a schema is a permanent table.
        ! grep -q '^-- @table *[a-z_]*\.' "$file" || continue
        cat "$file"
        echo ';'
    done
    cat <<SQL
SELECT format('CREATE TABLE %1\$I.%3\$I PARTITION OF %1\$I.%2\$I FOR VALUES IN (%4\$s)', :'work', relname, relname || '_p' || n, n)
FROM pg_class CROSS JOIN generate_series(0, $1 - 1) AS n
WHERE relnamespace = :'work'::regnamespace AND relkind = 'p'
\\gexec
SQL
    for segment in "${segments[@]}"; do
        file=${file_of[$segment]}
        mark "$segment"
        for ((partition = 0; partition < $1; partition++)); do
            printf '\\qecho ## %s %d\n\\set partition %d\nBEGIN ISOLATION LEVEL REPEATABLE READ;\n' "$segment" "$partition" "$partition"
            case $file in
                scripts/init/*) printf 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF)\n%s\n;\n' "$(<"$file")" ;;
                *) printf '\\o /dev/null\nCOPY (\n%s\n) TO STDOUT (FORMAT csv);\n\\o\n' "$(<"$file")" ;;
            esac
            echo 'COMMIT;'
        done
    done
    mark end
}

# play OUTPUT: runs script.sql.
play() {
    rm -f "$scratch/marks"
    # Pending writes of the previous measurement must not count for this one.
    sql --command=CHECKPOINT
    run psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --file="$scratch/script.sql" >"$1" ||
        fail "a segment failed"
}

# figures N OUTPUT: prints a line for each segment with wall time, CPU time and buffers. The first line of buffers in a
# plan belongs to its top node, which includes all other nodes.
figures() {
    awk -v n="$1" -v tick="$(getconf CLK_TCK)" '
        FILENAME ~ /marks$/ {
            wall = $2 / 1e9; cpu = ($3 + $4) / tick
            if (segment != "") print "time", n, segment, wall - last_wall, cpu - last_cpu
            else { first_wall = wall; first_cpu = cpu }
            segment = $1; last_wall = wall; last_cpu = cpu
        }
        $1 == "##" { planned = $2; is_top = 1 }
        $1 == "Buffers:" && is_top {
            is_top = 0
            sub(/ (dirtied|written).*|,? temp .*/, "")
            for (i = 2; i <= NF; i++) if (split($i, part, "=") == 2) sum[planned] += part[2]
        }
        END {
            print "time", n, "whole", last_wall - first_wall, last_cpu - first_cpu
            for (planned in sum) print "buffers", n, planned, sum[planned]
        }' "$scratch/marks" "$2"
}

# rows N: prints for each run table the number of rows and the sum of their hashes, without the partition number.
rows() {
    sql --set=work="bda_run_$1" --file=- <<'SQL'
SELECT format('SELECT %L, count(*), sum(hash_record_extended(ROW(%s), 0)) FROM %I.%I', relname,
              string_agg(quote_ident(attname), ', ' ORDER BY attnum), :'work', relname)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND attname <> 'partition_no'
WHERE relnamespace = :'work'::regnamespace AND relkind = 'p'
GROUP BY relname ORDER BY relname
\gexec
SQL
}

for ((number = 1; number <= turns; number++)); do
    # The two runs alternate in going first.
    if ((number % 2)); then order="1 $partitions"; else order="$partitions 1"; fi
    for n in $order; do
        say "turn $number of $turns, N = $n"
        turn "$n" >"$scratch/script.sql"
        play "$scratch/plans-$n"
        figures "$n" "$scratch/plans-$n" >>"$scratch/figures"
        rows "$n" >"$scratch/rows-$n"
    done
    cmp --silent "$scratch/rows-1" "$scratch/rows-$partitions" || {
        diff "$scratch/rows-1" "$scratch/rows-$partitions" || true
        fail "the rows of $partitions partitions differ from those of the unpartitioned run"
    }
done
awk -F'|' -v n="$partitions" '{ rows += $2 } END { printf "%d partitions hold the %d rows of the whole in %d tables\n", n, rows, NR }' "$scratch/rows-1"

say "the charges as a whole that is never split"
{
    session 1
    mark plain
    printf 'BEGIN ISOLATION LEVEL REPEATABLE READ;\n%s;\nROLLBACK;\n' "$(<scripts/bench/partitioning/plain_charges.sql)"
    mark end
} >"$scratch/script.sql"
play "$scratch/log/plain.log"
figures 1 "$scratch/log/plain.log" | grep plain >>"$scratch/figures"

# Prints the table, the costliest segments first, and writes the names of the costliest ones to a file.
echo
awk -v n="$partitions" -v costliest="$scratch/costliest" '
    function median(list,    v, count, i, j, x) {
        count = split(list, v, " ")
        for (i = 2; i <= count; i++) {
            x = v[i] + 0
            for (j = i - 1; j > 0 && v[j] + 0 > x; j--) v[j + 1] = v[j]
            v[j + 1] = x
        }
        return count % 2 ? v[(count + 1) / 2] + 0 : (v[count / 2] + v[count / 2 + 1]) / 2
    }
    function ratio(a, b) { return b > 0 ? sprintf("%.2f", a / b) : "-" }
    # An archive has no plan with buffers.
    function known(n, segment) { return (n, segment) in buffers ? sprintf("%d", buffers[n, segment]) : "-" }
    function line(segment) {
        printf "%-31s %8.2f %8.2f %11s %8.2f %8.2f %11s %6s %6s %8s\n", segment,
            wall[1, segment], cpu[1, segment], known(1, segment), wall[n, segment], cpu[n, segment], known(n, segment),
            ratio(wall[n, segment], wall[1, segment]), ratio(cpu[n, segment], cpu[1, segment]),
            ratio(buffers[n, segment], buffers[1, segment])
    }
    $1 == "buffers" { touched[$2, $3] = touched[$2, $3] " " $4 }
    $1 == "time" { walls[$2, $3] = walls[$2, $3] " " $4; cpus[$2, $3] = cpus[$2, $3] " " $5; if ($3 != "whole" && $3 != "plain") names[$3] }
    END {
        for (key in walls) { wall[key] = median(walls[key]); cpu[key] = median(cpus[key]) }
        for (key in touched) {
            buffers[key] = median(touched[key])
            split(key, part, SUBSEP)
            buffers[part[1], "whole"] += buffers[key]
        }
        printf "%-31s %-29s %-29s %s\n", "", "N = 1", "N = " n, "N = " n " / N = 1"
        printf "%-31s %8s %8s %11s %8s %8s %11s %6s %6s %8s\n", "segment", "wall s", "CPU s", "buffers", "wall s", "CPU s", "buffers",
            "wall", "CPU", "buffers"
        worst = ""
        for (;;) {
            top = ""
            for (segment in names) if (top == "" || cpu[n, segment] > cpu[n, top]) top = segment
            if (top == "") break
            delete names[top]
            line(top)
            if ((n, top) in buffers && ++count <= 3) print top >costliest
            # Only segments with at least one hundredth of the total count.
            if (cpu[n, top] * 100 >= cpu[n, "whole"] && (worst == "" || ratio(cpu[n, top], cpu[1, top]) + 0 > ratio(cpu[n, worst], cpu[1, worst]) + 0)) worst = top
        }
        line("whole")
        printf "\nsum over %d partitions against the whole: %s x CPU time, %s x wall time; worst segment: %s, %s x CPU time\n", n,
            ratio(cpu[n, "whole"], cpu[1, "whole"]), ratio(wall[n, "whole"], wall[1, "whole"]), worst, ratio(cpu[n, worst], cpu[1, worst])
        printf "tripica.data_charges as a whole that is never split: %.2f s wall, %.2f s CPU\n", wall[1, "plain"], cpu[1, "plain"]
    }' "$scratch/figures"

while read -r segment; do
    for n in 1 "$partitions"; do
        printf '\n%s, N = %d, partition 0:\n' "$segment" "$n"
        awk -v segment="$segment" '$1 == "##" { is_it = $2 == segment && $3 == 0; next } is_it' "$scratch/plans-$n"
    done
done <"$scratch/costliest"

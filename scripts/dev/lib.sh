# shellcheck shell=bash
# Functions shared by demo.sh and test.sh: messages, clean-up, free ports, Debian packages, Swift.
# Sourcing the file only defines functions.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034 # kafka.sh and s3.sh use it, not every program sources them
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/billing-data-aggregator

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# fail MESSAGE [HINT...]: prints the message and each hint on a separate line, and exits with 1.
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

# ---- clean-up -------------------------------------------------------------------------------------------------
#
# Every started command runs in its own session (setsid), listed in $scratch/sessions. This makes the clean-up complete:
# SwiftPM puts its compilers into separate process groups and orphans change their parent, but a process remains in its
# session. It also means that Ctrl-C reaches only this script, which then stops the other processes in order. The script
# waits for long commands with `wait`, because bash runs a trap only between foreground commands.

scratch=

# begin: creates a temporary folder, and ensures that the folder and all processes are removed when this script ends for
# any reason.
begin() {
    # The settings of the user's own systems must not affect the temporary ones, and vice versa.
    local name
    for name in $(compgen -e); do
        case $name in
            BDA_TEST_REQUIRE_KAFKA | BDA_TEST_SEEDS) ;;
            BDA_* | PG* | AWS_*) unset "$name" ;;
        esac
    done
    export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"
    export NO_PROXY=$no_proxy

    scratch=$(mktemp -d "${TMPDIR:-/tmp}/bda.XXXXXX")
    [ "${#scratch}" -le 60 ] || {
        rmdir "$scratch"
        fail "TMPDIR '${TMPDIR:-}' is too long for a socket's path" "Set TMPDIR to a short folder, for example /tmp."
    }
    # The user postgres has folders in it.
    chmod 711 "$scratch"
    mkdir "$scratch/log" "$scratch/tmp"
    : >"$scratch/sessions"
    # SwiftPM leaves dozens of folders in TMPDIR and keeps its lock there. The lock must be the same as that of a manual
    # `swift build`, because two concurrent builds in the same .build crash.
    local lock=${repo//\//_}_.build.lock
    ln -s "${TMPDIR:-/tmp}/$lock" "$scratch/tmp/$lock"
    export TMPDIR=$scratch/tmp
    exec {terminal}>&2
    trap 'finish $?' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # The guard cleans up if this script is ended by a signal that cannot be trapped.
    setsid bash -c '
        trap "" HUP INT TERM
        tail --pid="$1" -f /dev/null
        source "$2/scripts/dev/lib.sh"
        scratch=$3
        stop_all' guard $$ "$repo" "$scratch" </dev/null >/dev/null 2>&1 &
    guard=$!
    disown "$guard"
}

finish() {
    # From here on neither a signal, a closed output nor a failing command may end the clean-up early.
    trap '' HUP INT TERM PIPE
    trap - EXIT
    set +e
    disown -a # or bash reports each one that was killed
    # The output does not go to stderr, which may be a file: the trap runs within the redirections of the interrupted
    # command.
    [ "$1" -lt 128 ] || printf '\nstopping what was started ...\n' >&"$terminal"
    kill_session KILL "$guard"
    stop_all
    exit "$1"
}

# stop_all: stops all sessions, the last started one first.
stop_all() {
    [ -d "$scratch" ] || return 0
    local sid signal started
    while read -r sid signal started; do
        stop_session "$sid" "$signal" "$started"
    done < <(tac "$scratch/sessions")
    rm -rf "$scratch" || warn "unable to remove '$scratch'"
}

# session_members SID: prints the process ids of the session.
session_members() {
    local file stat fields
    for file in /proc/[0-9]*/stat; do
        { read -r stat <"$file"; } 2>/dev/null || continue
        read -r -a fields <<<"${stat##*) }"
        # Fields after the name: state, parent, group, session; a zombie is not a member. A process that has not yet
        # called setsid is a member too.
        if [ "${fields[0]}" != Z ] && { [ "${fields[3]}" = "$1" ] || [ "${stat%% *}" = "$1" ]; }; then
            echo "${stat%% *}"
        fi
    done
}

start_time() {
    local stat fields
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    read -r -a fields <<<"${stat##*) }"
    echo "${fields[19]}"
}

kill_session() {
    local pid
    for pid in $(session_members "$2"); do kill -"$1" "$pid" 2>/dev/null || true; done
}

# stop_session SID SIGNAL STARTED: sends the signal, and KILL after ten seconds.
stop_session() {
    local now deadline=$((SECONDS + 10))
    now=$(start_time "$1")
    [ -z "$now" ] || [ "$now" = "$3" ] || return 0 # the number belongs to another process by now
    kill_session "$2" "$1"
    while [ "$SECONDS" -lt "$deadline" ]; do
        [ -n "$(session_members "$1")" ] || return 0
        sleep 0.1
    done
    kill_session KILL "$1"
}

# start SIGNAL COMMAND...: starts a server; SIGNAL is how it is stopped. Its process id is in $started.
start() {
    spawn "$@"
    disown "$started"
}

spawn() {
    local signal=$1
    shift
    setsid "$@" </dev/null &
    started=$!
    echo "$started $signal $(start_time "$started")" >>"$scratch/sessions"
}

# run COMMAND...: runs a command to its end; a signal to this script ends it and all its children at once. It is ended
# by TERM, or by the signal in $end_with.
run() {
    local status=0 pid
    spawn "${end_with:-TERM}" "$@"
    pid=$started
    wait "$pid" || status=$?
    # Remaining processes of the session are stopped.
    kill_session KILL "$pid"
    sed -i "/^$pid /d" "$scratch/sessions"
    return "$status"
}

# run_quietly NAME COMMAND...: like run, but shows the output only if the command fails.
run_quietly() {
    local name=$1 status=0
    shift
    run "$@" >"$scratch/log/$name.log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || show_log "$name"
    return "$status"
}

show_log() {
    printf -- '--- last lines of %s.log:\n' "$1" >&2
    tail -n 25 "$scratch/log/$1.log" >&2
    printf -- '---\n' >&2
}

# wait_until NAME PID SECONDS COMMAND...: waits until the command succeeds; fails at once if the process has ended.
wait_until() {
    local name=$1 pid=$2 deadline=$((SECONDS + $3))
    shift 3
    until "$@" >/dev/null 2>&1; do
        if [ ! -d "/proc/$pid" ] || [ "$SECONDS" -ge "$deadline" ]; then
            show_log "$name"
            fail "$name does not answer"
        fi
        sleep 0.1
    done
}

# free_ports NAME...: sets each variable to a different free TCP port of 127.0.0.1. The ports are below the range that
# the system uses for outgoing connections, so that a port remains free until its server starts.
free_ports() {
    local number given=" "
    while [ $# -gt 0 ]; do
        number=$((15000 + RANDOM % 17000))
        [[ $given != *" $number "* ]] || continue
        ! (: <>"/dev/tcp/127.0.0.1/$number") 2>/dev/null || continue
        printf -v "$1" %s "$number"
        given+="$number "
        shift
    done
}

# random_text: prints a password for a temporary server, of letters, digits, - and _.
random_text() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }

# ---- required packages ----------------------------------------------------------------------------------------

# need_build_packages: installs pkg-config and the C libraries that Package.swift names, if they are missing.
need_build_packages() {
    local library missing=()
    command -v pkg-config >/dev/null || missing=(pkg-config)
    for library in libpq=libpq-dev libcurl=libcurl4-openssl-dev rdkafka=librdkafka-dev libcrypto=libssl-dev \
        zlib=zlib1g-dev libzstd=libzstd-dev libmicrohttpd=libmicrohttpd-dev; do
        pkg-config --exists "${library%=*}" 2>/dev/null || missing+=("${library#*=}")
    done
    [ ${#missing[@]} -eq 0 ] || need_packages "${missing[@]}"
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_packages NAME...: prints the names of missing Debian packages and installs them.
need_packages() {
    local name missing=() as_root=()
    command -v apt-get >/dev/null || {
        warn "no apt-get here; these packages, or your distribution's twins of them, must be installed: $*"
        return 0
    }
    for name in "$@"; do installed "$name" || missing+=("$name"); done
    [ ${#missing[@]} -gt 0 ] || return 0

    say "installing with apt: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo)
        if ! command -v sudo >/dev/null || { ! sudo -n true 2>/dev/null && [ ! -t 0 ]; }; then
            fail "packages are missing, and neither root nor sudo is available to install them" \
                "Have them installed, then start this script again:" \
                "    apt-get install --yes --no-install-recommends ${missing[*]}"
        fi
    fi
    # apt runs in the foreground and not with `run`, so that a signal does not interrupt an installation.
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    local apt=("${as_root[@]}" apt-get -q -y -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update >"$scratch/log/apt.log" 2>&1 || warn "apt-get update failed; trying with the lists at hand"
    case " ${missing[*]} " in *" postgresql "*) no_main_cluster "${as_root[@]}" ;; esac
    "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$scratch/log/apt.log" 2>&1 || {
        show_log apt
        fail "apt-get could not install: ${missing[*]}"
    }
    case " ${missing[*]} " in *" postgresql "*) main_cluster_again "${as_root[@]}" ;; esac
}

# Debian creates and starts a cluster with a new server package, which is not wanted here. The setting is restored
# afterwards, because it belongs to the owner of the machine.
cluster_settings=/etc/postgresql-common/createcluster.conf

no_main_cluster() {
    "$@" apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends postgresql-common \
        >>"$scratch/log/apt.log" 2>&1 || fail "apt-get could not install: postgresql-common"
    "$@" sed -i.before-bda -E 's/^#?(create_main_cluster) .*$/\1 = false/' "$cluster_settings"
}

main_cluster_again() { "$@" mv "$cluster_settings.before-bda" "$cluster_settings"; }

# find_swift: puts Swift 6.2 or newer on the PATH.
find_swift() {
    local folder version
    for folder in "$(dirname "$(command -v swift || echo /nowhere/swift)")" "${SWIFTLY_BIN_DIR:-/nowhere}" \
        "${HOME:-/root}/.local/share/swiftly/bin" /opt/swift/usr/bin /usr/local/swift/usr/bin; do
        [ -x "$folder/swift" ] || continue
        version=$("$folder/swift" --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p') || true
        [ -n "$version" ] || continue
        if [ "$(printf '%s\n' 6.2 "$version" | sort -V | head -n 1)" = 6.2 ]; then
            export PATH=$folder:$PATH
            say "Swift $version"
            return 0
        fi
        warn "$folder/swift is Swift $version, which is too old"
    done
    fail "Swift 6.2 or newer is needed and was not found" \
        "How to install it on Debian, Ubuntu and others: https://www.swift.org/install/linux/" \
        "Afterwards 'swift --version' must work in this shell."
}

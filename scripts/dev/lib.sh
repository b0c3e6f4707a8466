# shellcheck shell=bash
# What demo.sh and test.sh share: messages, clean-up, free ports, Debian packages, Swift.
# Source it; it changes nothing until a function is called.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck disable=SC2034 # kafka.sh and s3.sh use it, not every program sources them
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/billing-data-aggregator

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# fail MESSAGE [HINT...]: every hint on a line of its own.
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

# ---- clean-up -------------------------------------------------------------------------------------------------
#
# Everything that is started runs in a session of its own (setsid), listed in $scratch/sessions. That is what makes
# clean-up complete: SwiftPM puts its compilers in process groups of their own and orphans change their parent, but
# a session keeps its members. It also means that Ctrl-C reaches this script only, which then stops the rest in order.
# Commands that take long are waited for with `wait`, because bash runs a trap only between foreground commands.

scratch=

# begin: a temporary folder for everything, and the promise that it and all processes go away however this script ends.
begin() {
    # Settings of the user's own systems must not reach throw-away ones, nor the other way round.
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
    # Another user, postgres, has folders in it.
    chmod 711 "$scratch"
    mkdir "$scratch/log" "$scratch/tmp"
    : >"$scratch/sessions"
    # SwiftPM leaves dozens of folders where TMPDIR points, and keeps its lock there. The lock must stay the one that a
    # `swift build` by hand takes: two at once on the same .build crash.
    local lock=${repo//\//_}_.build.lock
    ln -s "${TMPDIR:-/tmp}/$lock" "$scratch/tmp/$lock"
    export TMPDIR=$scratch/tmp
    exec {terminal}>&2
    trap 'finish $?' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # The guard does the same if this script is killed by a signal that no trap sees.
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
    # From here on nothing may end it early: no signal, no reader that has gone, no failing command.
    trap '' HUP INT TERM PIPE
    trap - EXIT
    set +e
    disown -a # or bash reports each one that was killed
    # Not to stderr, which may be a file here: the trap runs within the redirections of the command it interrupts.
    [ "$1" -lt 128 ] || printf '\nstopping what was started ...\n' >&"$terminal"
    kill_session KILL "$guard"
    stop_all
    exit "$1"
}

# stop_all: the last one started is the first one stopped.
stop_all() {
    [ -d "$scratch" ] || return 0
    local sid signal started
    while read -r sid signal started; do
        stop_session "$sid" "$signal" "$started"
    done < <(tac "$scratch/sessions")
    rm -rf "$scratch" || warn "unable to remove '$scratch'"
}

# session_members SID: its process ids.
session_members() {
    local file stat fields
    for file in /proc/[0-9]*/stat; do
        { read -r stat <"$file"; } 2>/dev/null || continue
        read -r -a fields <<<"${stat##*) }"
        # Fields after the name: state, parent, group, session; a zombie is no member any more. A process that has
        # not got as far as setsid counts too.
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

# stop_session SID SIGNAL STARTED: the signal first, after ten seconds KILL.
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
    # What it left behind belongs to nobody.
    kill_session KILL "$pid"
    sed -i "/^$pid /d" "$scratch/sessions"
    return "$status"
}

# run_quietly NAME COMMAND...: as run, its output shown only if it fails.
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

# wait_until NAME PID SECONDS COMMAND...: until the command succeeds; fails at once when the process is gone.
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

# free_ports NAME...: sets each variable to a TCP port of 127.0.0.1 that is free now; all are different. They lie below
# the range from which the system takes ports for outgoing connections, so that none is taken before its server starts.
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

# random_text: for passwords of throw-away servers; letters, digits, - and _.
random_text() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }

# ---- what must be installed -----------------------------------------------------------------------------------

# need_build_packages: pkg-config, and the C libraries that Package.swift names.
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

# need_packages NAME...: installs those Debian packages that are missing, and says so first.
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
            fail "these packages are missing, and neither root nor sudo is at hand to install them" \
                "Have them installed, then start this script again:" \
                "    apt-get install --yes --no-install-recommends ${missing[*]}"
        fi
    fi
    # In the foreground and not by `run`: a signal must not tear apt out of the middle of an installation.
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

# Debian starts a cluster of its own along with a new server package; nobody asked this script for one. The setting
# is put back afterwards: it is the owner's of this machine.
cluster_settings=/etc/postgresql-common/createcluster.conf

no_main_cluster() {
    "$@" apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends postgresql-common \
        >>"$scratch/log/apt.log" 2>&1 || fail "apt-get could not install: postgresql-common"
    "$@" sed -i.before-bda -E 's/^#?(create_main_cluster) .*$/\1 = false/' "$cluster_settings"
}

main_cluster_again() { "$@" mv "$cluster_settings.before-bda" "$cluster_settings"; }

# find_swift: puts Swift on the PATH, 6.2 or newer.
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

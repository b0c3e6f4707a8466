#!/usr/bin/env bash
# Runs a server and restarts it whenever it has ended, like a supervisor: keep-up.sh PIDFILE COMMAND...
# PIDFILE holds the server's process id while it runs. While PIDFILE.hold exists, the server is not restarted.
set -euo pipefail
# The signal reaches the server in its session anyway, and must also end this script.
trap 'exit 0' QUIT TERM
pidfile=$1
shift
while :; do
    while [ -e "$pidfile.hold" ]; do sleep 0.05; done
    "$@" &
    echo $! >"$pidfile.new"
    mv "$pidfile.new" "$pidfile"
    wait $! || true
    # A server that ended before it had served is not restarted, because it would fail again.
    [ "$SECONDS" -ge 10 ] || [ -e "$pidfile.hold" ] || exit 1
    sleep 0.1
done

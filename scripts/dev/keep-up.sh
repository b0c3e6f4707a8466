#!/usr/bin/env bash
# Runs a server, and again whenever it has ended, as a supervisor does: keep-up.sh PIDFILE COMMAND...
# PIDFILE holds its process id while it runs. While PIDFILE.hold is there, the server is not started again.
set -euo pipefail
# To the server, which has its own session's signal anyway, and to this script.
trap 'exit 0' QUIT TERM
pidfile=$1
shift
while :; do
    while [ -e "$pidfile.hold" ]; do sleep 0.05; done
    "$@" &
    echo $! >"$pidfile.new"
    mv "$pidfile.new" "$pidfile"
    wait $! || true
    # What has never served would never serve.
    [ "$SECONDS" -ge 10 ] || [ -e "$pidfile.hold" ] || exit 1
    sleep 0.1
done

# shellcheck shell=bash
# Starts a temporary PostgreSQL server. Source it after lib.sh; it needs `begin`.

# find_postgres: sets $postgres_bin to the newest server of version 15 or later, and installs one if it is missing.
find_postgres() {
    newest_postgres || need_packages postgresql
    # Tests start the pooler to check that it is refused.
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || need_packages pgbouncer
    newest_postgres || fail "no PostgreSQL server of version 15 or newer was found" \
        "Install one: https://www.postgresql.org/download/ (initdb must lie in /usr/lib/postgresql/*/bin or on the PATH)."
    say "$("$postgres_bin/postgres" --version)"
}

# find_pooler: installs PgBouncer if it is missing. Debian starts a server with the package, which is stopped.
find_pooler() {
    [ ! -x /usr/sbin/pgbouncer ] && ! command -v pgbouncer >/dev/null || return 0
    need_packages pgbouncer
    ! command -v systemctl >/dev/null || systemctl disable --now pgbouncer >>"$scratch/log/apt.log" 2>&1 || true
}

newest_postgres() {
    local folder version best=14
    postgres_bin=
    for folder in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] || continue
        version=$("$folder/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        if [ "$version" -gt "$best" ]; then
            best=$version
            postgres_bin=$folder
        fi
    done
    [ -n "$postgres_bin" ]
}

# initdb and postgres refuse to run as root, so root runs them as user postgres; other users run them directly.
as_postgres=()
[ "$(id -u)" -ne 0 ] || as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --)

# start_postgres: sets $postgres_port, $postgres_socket (a folder), $postgres_admin (a conninfo of the superuser) and
# $role_password, the password of the role billing_aggregator, which exists then and has no rights yet; and
# $postgres_pid, the file of keep-up.sh, for tests that restart it. The superuser can connect over the socket only, as
# the user of this script; all other roles need a password. With $certificates (certificates.sh) the server also accepts
# TLS.
start_postgres() {
    local folder=$scratch/postgres database_user
    postgres_socket=$folder/socket
    postgres_port=
    free_ports postgres_port
    database_user=$(id -un)
    mkdir -m 700 "$folder" "$postgres_socket"
    if [ "$(id -u)" -eq 0 ]; then
        getent passwd postgres >/dev/null || useradd --system --no-create-home postgres
        chown -R postgres: "$folder"
        "${as_postgres[@]}" test -x "$folder" || fail "user postgres cannot enter '$folder'" "Set TMPDIR to a folder that all users may enter, for example /tmp."
    fi
    run_quietly initdb "${as_postgres[@]}" "$postgres_bin/initdb" --pgdata="$folder/data" --username=postgres \
        --encoding=UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=reject || fail "initdb failed"
    "${as_postgres[@]}" tee "$folder/data/pg_hba.conf" >/dev/null <<'HBA'
# type database user     address      method
local  all      postgres              peer map=starter
local  all      all                   scram-sha-256
host   all      all      127.0.0.1/32 scram-sha-256
HBA
    "${as_postgres[@]}" tee "$folder/data/pg_ident.conf" >/dev/null <<IDENT
starter "$database_user" postgres
IDENT
    # fsync and full_page_writes remain on, as on a server in production.
    "${as_postgres[@]}" tee -a "$folder/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $postgres_port
unix_socket_directories = '$postgres_socket'
max_connections = 200
shared_buffers = '256MB'
max_wal_size = '2GB'
max_locks_per_transaction = 256
# With this setting, a start after a crash does not open every file.
recovery_init_sync_method = syncfs
CONF
    if [ -n "${certificates:-}" ]; then
        # The key must belong to the server's user and must not be readable by other users.
        "${as_postgres[@]}" tee "$folder/data/server.crt" <"$certificates/server.pem" >/dev/null
        (umask 077 && "${as_postgres[@]}" tee "$folder/data/server.key" <"$certificates/server.key" >/dev/null)
        "${as_postgres[@]}" tee -a "$folder/data/postgresql.conf" <<<"ssl = on" >/dev/null
    fi
    # The server is stopped with QUIT, because the cluster is removed afterwards: no checkpoint and no wait for clients
    # is needed.
    postgres_pid=$scratch/postgres.pid
    start QUIT "$repo/scripts/dev/keep-up.sh" "$postgres_pid" "${as_postgres[@]}" "$postgres_bin/postgres" \
        -D "$folder/data" >"$scratch/log/postgres.log" 2>&1
    postgres_admin="host=$postgres_socket port=$postgres_port user=postgres"
    wait_until postgres "$started" 60 sql_admin -c 'SELECT 1'

    role_password=$(random_text)
    # The statement is passed on standard input, because every user of the machine can read command lines.
    sql_admin --file=- <<<"CREATE ROLE billing_aggregator LOGIN PASSWORD '$role_password'"
}

# sql_admin OPTION...: runs psql as the superuser, by default in database postgres; stops at the first error.
sql_admin() {
    "$postgres_bin/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$postgres_admin dbname=postgres" "$@"
}

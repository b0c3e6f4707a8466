# shellcheck shell=bash
# Starts Apache Kafka for the tests. Source it after lib.sh; it needs `begin`.

kafka_version=4.3.1
kafka_archive=kafka_2.13-$kafka_version.tgz
# The first site has the newest releases, the second one all releases.
kafka_sites=(https://downloads.apache.org/kafka https://archive.apache.org/dist/kafka)

# find_java: puts Java 17 or newer first on the PATH, and installs it if it is missing.
find_java() {
    newest_java && return 0
    local package
    for package in openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless; do
        [ -z "$(apt-cache search --names-only "^$package\$" 2>/dev/null)" ] || break
    done
    need_packages "$package"
    newest_java || fail "Java 17 or newer is needed for Kafka and was not found"
}

newest_java() {
    local java version
    for java in "${JAVA_HOME:-/nowhere}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
        [ -x "$java" ] || continue
        version=$("$java" -XX:-UsePerfData -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
        [ "${version:-0}" -ge 17 ] || continue
        java=$(readlink -f "$java")
        export JAVA_HOME=${java%/bin/java}
        export PATH=$JAVA_HOME/bin:$PATH
        return 0
    done
    return 1
}

# find_kafka: sets KAFKA_HOME; returns 1 if Kafka is missing and the official archive is unreachable.
find_kafka() {
    if [ -n "${KAFKA_HOME:-}" ]; then
        [ -x "$KAFKA_HOME/bin/kafka-server-start.sh" ] ||
            fail "KAFKA_HOME '$KAFKA_HOME' holds no bin/kafka-server-start.sh" \
                "Unpack Apache Kafka there, or unset KAFKA_HOME to have $kafka_version fetched."
    else
        fetch_kafka || return 1
    fi
    say "Apache Kafka in $KAFKA_HOME"
}

# fetch_kafka: fetches the official archive, checked against the published SHA-512, once per machine.
fetch_kafka() {
    local target=$cache/kafka-$kafka_version site folder
    if [ ! -d "$target" ]; then
        say "fetching Apache Kafka $kafka_version from apache.org"
        need_packages curl ca-certificates
        folder=$scratch/kafka-fetch
        mkdir -p "$folder/home" "$cache"
        for site in "${kafka_sites[@]}"; do
            fetch "$site/$kafka_version/$kafka_archive.sha512" "$folder/published" &&
                fetch "$site/$kafka_version/$kafka_archive" "$folder/archive" && break
            site=
        done
        [ -n "$site" ] || {
            warn "apache.org cannot be reached"
            return 1
        }
        [ "$(published_digest "$folder/published")" = "$(sha512sum <"$folder/archive" | cut -d ' ' -f 1)" ] ||
            fail "'$site/$kafka_version/$kafka_archive' differs from its published SHA-512; it was not used"
        run tar -xzf "$folder/archive" --strip-components=1 -C "$folder/home" || fail "unable to unpack '$folder/archive'"
        # The rename is atomic, also if two tests fetch the archive at the same time.
        mv -T "$folder/home" "$target" 2>/dev/null || [ -d "$target" ] || fail "unable to write '$target'"
    fi
    export KAFKA_HOME=$target
}

fetch() { run curl --fail --location --silent --show-error --retry 1 --connect-timeout 10 --output "$2" "$1"; }

# published_digest FILE: prints the digest, which Apache writes as `name: ABCD 1234 ...` over several lines, or like
# sha512sum.
published_digest() {
    sed -e 's/^[^:]*://' "$1" | tr -d ' \n' | tr 'A-F' 'a-f' | grep -o -E '^[0-9a-f]{128}'
}

# start_kafka: sets $kafka_bootstrap. With $certificates (certificates.sh) the broker also has listeners with TLS and
# authentication: sets $kafka_ssl, $kafka_mtls (requires a client certificate), $kafka_sasl (user bda, $kafka_password)
# and $kafka_expired. Tests restart the broker with $kafka_pid, the file of keep-up.sh. A test may start a proxy on
# $kafka_proxy_port, to which the listener on $kafka_behind_proxy_port redirects clients.
start_kafka() {
    local port controller_port ssl_port mtls_port sasl_port expired_port proxy_port behind_proxy_port
    launch_kafka kafka "$KAFKA_HOME"
    # shellcheck disable=SC2034 # servers.sh's
    kafka_pid=$scratch/kafka.pid kafka_proxy_port=$proxy_port kafka_behind_proxy_port=$behind_proxy_port
    # shellcheck disable=SC2034 # servers.sh's
    kafka_ssl=localhost:$ssl_port kafka_mtls=localhost:$mtls_port kafka_sasl=localhost:$sasl_port \
        kafka_expired=localhost:$expired_port
    wait_until kafka "$started" 60 kafka_answers "$port"
    kafka_bootstrap=127.0.0.1:$port
}

# launch_kafka NAME HOME: starts a broker and returns at once. $started is its process id; the caller's variables hold
# its ports.
launch_kafka() {
    local folder=$scratch/$1 secure=()
    free_ports port controller_port ssl_port mtls_port sasl_port expired_port proxy_port behind_proxy_port
    mkdir -m 700 "$folder"
    if [ -n "${certificates:-}" ]; then
        [ -n "${kafka_password:-}" ] || kafka_password=$(random_text)
        # kafka-storage accepts the password on its command line only; the password is valid for this run only.
        secure=(--add-scram "SCRAM-SHA-512=[name=bda,password=$kafka_password]")
    fi
    cat "$repo/scripts/dev/kafka.properties" ${certificates:+"$repo/scripts/dev/kafka-secure.properties"} |
        sed -e "s/@PORT@/$port/g" -e "s/@CONTROLLER_PORT@/$controller_port/g" -e "s|@DATA@|$folder/data|" \
            -e "s/@SSL_PORT@/$ssl_port/g" -e "s/@MTLS_PORT@/$mtls_port/g" -e "s/@SASL_PORT@/$sasl_port/g" \
            -e "s/@PROXY_PORT@/$proxy_port/g" -e "s/@BEHIND_PROXY_PORT@/$behind_proxy_port/g" \
            -e "s/@EXPIRED_PORT@/$expired_port/g" -e "s|@CERTIFICATES@|${certificates:-}|" \
            -e "s|@PASSWORD@|${kafka_password:-}|" >"$folder/server.properties"
    # By default Kafka's scripts would write logs into their own folder, and the JVM would leave a file in /tmp.
    local -x LOG_DIR=$folder/log KAFKA_HEAP_OPTS="-Xms${kafka_heap:-256m} -Xmx512m" KAFKA_OPTS="-XX:-UsePerfData"
    run_quietly "$1-storage" "$2/bin/kafka-storage.sh" format "${secure[@]}" \
        --cluster-id="$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)" -c "$folder/server.properties" ||
        fail "Kafka's storage could not be formatted"
    # The broker is stopped with KILL, because its data are removed afterwards.
    start KILL "$repo/scripts/dev/keep-up.sh" "$scratch/$1.pid" "$2/bin/kafka-server-start.sh" "$folder/server.properties" \
        >"$scratch/log/$1.log" 2>&1
}

# launch_kafka_3 and wait_for_kafka_3: start the older Kafka in KAFKA_SCRAM_HOME, to which librdkafka before 2.6.1 can
# authenticate with SCRAM; set $kafka_scram, its listener with authentication.
launch_kafka_3() {
    # shellcheck disable=SC2034 # launch_kafka's
    local kafka_heap=64m port controller_port ssl_port mtls_port sasl_port expired_port proxy_port behind_proxy_port
    [ -x "$KAFKA_SCRAM_HOME/bin/kafka-server-start.sh" ] ||
        fail "KAFKA_SCRAM_HOME '$KAFKA_SCRAM_HOME' holds no bin/kafka-server-start.sh" \
            "Unpack Apache Kafka 3 there, or unset KAFKA_SCRAM_HOME to leave these tests out."
    launch_kafka kafka-3 "$KAFKA_SCRAM_HOME"
    # shellcheck disable=SC2034 # test.sh's
    kafka_scram=localhost:$sasl_port
    kafka_3_process=$started kafka_3_port=$port
}

wait_for_kafka_3() { wait_until kafka-3 "$kafka_3_process" 60 kafka_answers "$kafka_3_port"; }

# Sends an ApiVersions request, version 0, and reads the length of the response: ports are open before requests are
# served.
kafka_answers() {
    timeout 5 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf "\0\0\0\012\0\022\0\0\0\0\0\001\377\377" >&3
        [ "$(head -c 4 <&3 | wc -c)" -eq 4 ]' answers "$1"
}

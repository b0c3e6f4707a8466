# shellcheck shell=bash
# Apache Kafka for the tests. Source it after lib.sh; needs `begin`.

kafka_version=4.3.1
kafka_archive=kafka_2.13-$kafka_version.tgz
# The newest releases lie on the first site, older ones on the second only.
kafka_sites=(https://downloads.apache.org/kafka https://archive.apache.org/dist/kafka)

# find_java: Java 17 or newer first on the PATH, installed when there is none.
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

# find_kafka: sets KAFKA_HOME; 1 when there is none and the official archive cannot be reached.
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

# fetch_kafka: the official archive, checked against the published SHA-512, once per machine.
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
        # A rename makes it appear complete or not at all, also when two tests fetch it at once.
        mv -T "$folder/home" "$target" 2>/dev/null || [ -d "$target" ] || fail "unable to write '$target'"
    fi
    export KAFKA_HOME=$target
}

fetch() { run curl --fail --location --silent --show-error --retry 1 --connect-timeout 10 --output "$2" "$1"; }

# published_digest FILE: Apache writes it as `name: ABCD 1234 ...` over several lines, or as sha512sum does.
published_digest() {
    sed -e 's/^[^:]*://' "$1" | tr -d ' \n' | tr 'A-F' 'a-f' | grep -o -E '^[0-9a-f]{128}'
}

# start_kafka: sets $kafka_bootstrap.
start_kafka() {
    local folder=$scratch/kafka port controller_port
    free_ports port controller_port
    mkdir "$folder"
    sed -e "s/@PORT@/$port/g" -e "s/@CONTROLLER_PORT@/$controller_port/g" -e "s|@DATA@|$folder/data|" \
        "$repo/scripts/dev/kafka.properties" >"$folder/server.properties"
    # Its scripts would write logs next to themselves, and the JVM a file into /tmp that outlives it.
    local -x LOG_DIR=$folder/log KAFKA_HEAP_OPTS="-Xms256m -Xmx512m" KAFKA_OPTS="-XX:-UsePerfData"
    run_quietly kafka-storage "$KAFKA_HOME/bin/kafka-storage.sh" format \
        --cluster-id="$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)" -c "$folder/server.properties" ||
        fail "Kafka's storage could not be formatted"
    # KILL: what it holds is thrown away, so there is nothing to hand over.
    start KILL "$KAFKA_HOME/bin/kafka-server-start.sh" "$folder/server.properties" >"$scratch/log/kafka.log" 2>&1
    wait_until kafka "$started" 60 kafka_answers "$port"
    kafka_bootstrap=127.0.0.1:$port
}

# An ApiVersions request, version 0, and the length of an answer: ports are open before requests are served.
kafka_answers() {
    timeout 5 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf "\0\0\0\012\0\022\0\0\0\0\0\001\377\377" >&3
        [ "$(head -c 4 <&3 | wc -c)" -eq 4 ]' answers "$1"
}

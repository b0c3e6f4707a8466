# shellcheck shell=bash
# Starts S3 servers for the tests: SeaweedFS, and moto for features that SeaweedFS lacks; and
# creates their Python environment. Source it after lib.sh; it needs `begin`.

# find_python_tools: sets $python_tools to a virtual environment with scripts/dev/requirements.txt, created once per
# machine.
find_python_tools() {
    local requirements=$repo/scripts/dev/requirements.txt folder
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || need_packages python3-venv
    # A change of the list or of Python creates a new environment.
    python_tools=$cache/python-$({ cat "$requirements"; /usr/bin/python3 --version; } | sha256sum | head -c 16)
    if [ ! -f "$python_tools/complete" ]; then
        say "installing servers and linters with pip into $python_tools (about 500 MB)"
        mkdir -p "$cache"
        # A lock serializes this, because a test of another clone may create the environment at the same time.
        exec {lock}>"$cache/python.lock"
        run flock "$lock"
        if [ ! -f "$python_tools/complete" ]; then
            # A virtual environment cannot be moved, so it is created in place, and is complete when its marker file
            # exists.
            rm -rf "$python_tools"
            { run_quietly pip /usr/bin/python3 -m venv "$python_tools" &&
                run_quietly pip "$python_tools/bin/pip" install --disable-pip-version-check --no-input -r "$requirements"; } ||
                fail "pip could not install the tools" "Check that pypi.org, or pip's configured index, is reachable."
            touch "$python_tools/complete"
        fi
        exec {lock}>&-
    fi
}

# start_seaweedfs: sets $s3_endpoint; the keys and the bucket come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the
# argument. With $certificates (certificates.sh) the server has a second port with TLS: sets $s3_tls_endpoint.
start_seaweedfs() {
    local folder=$scratch/seaweedfs secure=() s3 s3_tls s3_grpc master master_grpc volume volume_grpc filer filer_grpc admin admin_grpc
    free_ports s3 s3_tls s3_grpc master master_grpc volume volume_grpc filer filer_grpc admin admin_grpc
    mkdir "$folder"
    if [ -n "${certificates:-}" ]; then
        secure=(-s3.port.https="$s3_tls" -s3.cert.file="$certificates/server.pem" -s3.key.file="$certificates/server.key")
        s3_tls_endpoint=https://localhost:$s3_tls
    fi
    start TERM "$python_tools/bin/weed" -logtostderr=true mini -bucket="$1" -dir="$folder" \
        -ip=127.0.0.1 -ip.bind=127.0.0.1 -webdav=false -admin.ui=false -master.telemetry=false \
        -s3.port="$s3" -s3.port.grpc="$s3_grpc" -s3.port.iceberg=0 -s3.port.lance=0 \
        -s3.localSocket="$folder/s3.sock" -master.port="$master" -master.port.grpc="$master_grpc" \
        -volume.port="$volume" -volume.port.grpc="$volume_grpc" -filer.port="$filer" \
        -filer.port.grpc="$filer_grpc" -filer.localSocket="$folder/filer.sock" -admin.port="$admin" \
        -admin.port.grpc="$admin_grpc" "${secure[@]}" >"$scratch/log/seaweedfs.log" 2>&1
    s3_endpoint=http://127.0.0.1:$s3
    wait_until seaweedfs "$started" 60 bucket_answers "$s3_endpoint" "$1"
}

bucket_answers() {
    "$python_tools/bin/python" - "$@" <<'PYTHON'
import sys
import botocore.session
from botocore.config import Config
client = botocore.session.get_session().create_client(
    "s3", endpoint_url=sys.argv[1], region_name="eu-central-1",
    config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1}, s3={"addressing_style": "path"}))
client.put_object(Bucket=sys.argv[2], Key="started", Body=b"1")
client.delete_object(Bucket=sys.argv[2], Key="started")
PYTHON
}

# start_moto: starts moto and sets $moto_endpoint.
start_moto() {
    local port
    free_ports port
    start TERM "$python_tools/bin/moto_server" -H 127.0.0.1 -p "$port" >"$scratch/log/moto.log" 2>&1
    moto_endpoint=http://127.0.0.1:$port
    wait_until moto "$started" 60 "$python_tools/bin/python" -c \
        'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$moto_endpoint"
}

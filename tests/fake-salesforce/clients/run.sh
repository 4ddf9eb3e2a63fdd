#!/usr/bin/env bash
# Other people's Salesforce clients against the stand-in org, so that it is judged by programs that
# were written for the real one:
#
#   tests/fake-salesforce/clients/run.sh [PATH_TO_MOSYNC]
#
# Not part of tests/run.sh: it installs the clients, in their newest versions, from the package
# registries of Python and Node, into a temporary folder. Needs python3 (with venv), npm, node and
# openssl. PATH_TO_MOSYNC is an executable built with the stand-ins; `target/debug/mosync` where not
# given. The stand-in runs twice on free ports of the loopback: in plain text and with TLS.
#
# At the end mosync itself runs between the stand-in org and the stand-in mOS, and what a loader
# writes to the one must arrive in the other.
#
# What these clients also can, the stand-in does not have: sign-in by OAuth with a password, CometD,
# publishing events and managed subscriptions.
#
# Prints `ok CLIENT: what` or `FAIL CLIENT: what` for each check.
# Exit codes: 0 all good, 1 a check failed, 2 something is missing or could not be installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

# More than one page of a query, which holds 2,000.
export FAKE_OPPORTUNITIES=3000
export FAKE_CLIENT_ID=clients-run
export FAKE_USERNAME=integration@fake.example.com
# The longest that a client is waited for.
CLIENT_DEADLINE_S=120

stop() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

case ${1:-} in
-h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
mosync=${1:-${CARGO_TARGET_DIR:-$root/target}/debug/mosync}
[ -x "$mosync" ] || stop "there is no executable $mosync; build it (\`cargo build -p mosync\`) or name one"
for tool in python3 node npm openssl timeout; do
    command -v "$tool" >/dev/null || stop "$tool is missing; please install it"
done

folder=$(mktemp -d)
servers=()
end() {
    local server
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap end EXIT

install_clients() {
    python3 -m venv "$folder/python" || stop "python3 cannot make a virtual environment; please install its venv module"
    "$folder/python/bin/pip" install --quiet --disable-pip-version-check \
        simple-salesforce grpcio grpcio-tools fastavro requests PyJWT ||
        stop "the Python clients could not be installed; see above"
    "$folder/python/bin/python" -m grpc_tools.protoc -I "$root/shared/pubsub_proto/proto" \
        --python_out="$folder/python" --grpc_python_out="$folder/python" pubsub_api.proto ||
        stop "no Python code could be made of pubsub_api.proto; see above"
    # avro-js, which salesforce-pubsub-api-client decodes with, needs underscore without saying so.
    npm install --prefix "$folder/node" --ignore-scripts --no-audit --no-fund --loglevel=error \
        jsforce salesforce-pubsub-api-client underscore >"$folder/npm.log" 2>&1 ||
        { cat "$folder/npm.log" >&2 && stop "the Node clients could not be installed; see above"; }
    export PYTHONPATH=$folder/python PYTHONDONTWRITEBYTECODE=1 NODE_PATH=$folder/node/node_modules
}

print_versions() {
    "$folder/python/bin/python" - <<'PYTHON'
from importlib.metadata import version

print(", ".join(f"{name} {version(name)}" for name in ("simple-salesforce", "grpcio", "fastavro")))
PYTHON
    node -p '["jsforce", "salesforce-pubsub-api-client", "@grpc/grpc-js"].map((name) => {
        const path = `${process.env.NODE_PATH}/${name}/package.json`;
        return `${name} ${JSON.parse(require("fs").readFileSync(path)).version}`;
    }).join(", ")'
}

# A key for JWT bearer, and a certificate for the loopback from an authority of its own.
make_keys() {
    cd "$folder"
    openssl genrsa -out jwt.key 2048
    openssl rsa -in jwt.key -pubout -out jwt.pub
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 \
        -subj "/CN=Authority of a test" -addext keyUsage=critical,keyCertSign
    openssl req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj "/CN=localhost"
    printf '%s\n' "subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:*.my.salesforce.com,DNS:login.salesforce.com" \
        "basicConstraints=CA:FALSE" "extendedKeyUsage=serverAuth" >tls.ext
    openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
        -extfile tls.ext -out tls.pem
}

# Waits until the process $2, whose output is in $3, says $1.
until_it_says() {
    until grep -q "$1" "$3"; do
        kill -0 "$2" 2>/dev/null || { cat "$3" >&2 && stop "$4 did not start; see above"; }
        sleep 0.1
    done
}

# Starts the stand-in as $1, with the options that follow, and exports where it listens.
start_fake() {
    local name=$1 log=$folder/$1.log
    shift
    : >"$log"
    # `--keepalive-s 1`: a client knows by the first keep-alive that its subscription stands.
    "$mosync" fake salesforce --http 127.0.0.1:0 --grpc 127.0.0.1:0 --keepalive-s 1 \
        --opportunities "$FAKE_OPPORTUNITIES" --client-id "$FAKE_CLIENT_ID" \
        --client-secret "$FAKE_CLIENT_SECRET" --username "$FAKE_USERNAME" \
        --jwt-public-key "$folder/jwt.pub" "$@" >"$log" 2>&1 &
    servers+=($!)
    # What it prints once both of its ports are open.
    until_it_says '^  Pub/Sub ' $! "$log" "the stand-in org ($name)"
    FAKE_URL=$(sed -n 's/^  HTTP .*(instance URL \(.*\))$/\1/p' "$log")
    FAKE_GRPC=$(sed -n 's/^  Pub\/Sub *//p' "$log")
    export FAKE_URL FAKE_GRPC
}

# Starts the stand-in mOS, and mosync between it and the stand-in org that was started last.
start_mosync() {
    export FAKE_MOS_KEY=clients-run
    "$mosync" fake mos --http 127.0.0.1:0 --api-key "$FAKE_MOS_KEY" >"$folder/mos.log" 2>&1 &
    servers+=($!)
    until_it_says 'listening on http://' $! "$folder/mos.log" "the stand-in mOS"
    FAKE_MOS_URL=$(grep -o 'http://127.0.0.1:[0-9]*' "$folder/mos.log" | head -n 1)
    export FAKE_MOS_URL
    cat >"$folder/mosync.toml" <<TOML
allow_plaintext = true
[salesforce]
login_url = "$FAKE_URL"
client_id = "$FAKE_CLIENT_ID"
client_secret = "$FAKE_CLIENT_SECRET"
pubsub_endpoint = "http://$FAKE_GRPC"
[mos]
url = "$FAKE_MOS_URL"
api_key = "$FAKE_MOS_KEY"
[permissions]
poll_s = 1
[embedded]
folder = "$folder/embedded"
TOML
    "$mosync" all --config "$folder/mosync.toml" >"$folder/mosync.log" 2>&1 &
    servers+=($!)
}

failed=0
client() {
    local code=0
    timeout "$CLIENT_DEADLINE_S" "$@" || code=$?
    [ "$code" -eq 0 ] && return
    failed=1
    printf 'FAIL %s ended with %d\n' "$(basename "${*: -1}")" "$code"
}

echo "Installing the clients"
install_clients
print_versions
make_keys >"$folder/openssl.log" 2>&1 || { cat "$folder/openssl.log" >&2 && stop "openssl made no keys; see above"; }
FAKE_CLIENT_SECRET=$(openssl rand -hex 16)
export FAKE_CLIENT_SECRET FAKE_JWT_KEY=$folder/jwt.key FAKE_CA=$folder/ca.pem
export REQUESTS_CA_BUNDLE=$FAKE_CA NODE_EXTRA_CA_CERTS=$FAKE_CA
# The stand-in is on the loopback, whatever proxy this machine uses for the registries.
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
python=$folder/python/bin/python

start_fake plain
client "$python" "$here/grpc_python.py"
client node "$here/jsforce.js"
client node "$here/jsforce_bulk2.js"
start_mosync
client "$python" "$here/flows_on.py"

start_fake tls --tls-cert "$folder/tls.pem" --tls-key "$folder/tls.key"
client "$python" "$here/simple_salesforce_client.py"
client "$python" "$here/simple_salesforce_bulk2.py"
client "$python" "$here/grpc_python.py"
client node "$here/jsforce.js"
client node "$here/jsforce_bulk2.js"
client node "$here/pubsub_node.js"

[ "$failed" -eq 0 ] && echo "All good"
exit "$failed"

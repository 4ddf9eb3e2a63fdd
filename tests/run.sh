#!/usr/bin/env bash
# Everything that must hold before a change is merged, in one command:
#
#   tests/run.sh                  format, lints, all tests, on this machine's RabbitMQ, Redis and
#                                 Chromium
#   tests/run.sh --brokers all    also the queue's tests on RabbitMQ 4.x (Debian, as root)
#   tests/run.sh --long           only what takes hours, built for release: 500 scenarios of changing
#                                 rules; full loads of 200,000 opportunities, killed in 20 rounds;
#                                 and the benches. It prints what it measured, and fails where a bar
#                                 is missed
#
# What is missing is installed from Debian packages where that is possible, and named where not: a
# test is never left out because its server is not there. Nothing is tried twice.
# Exit codes: 0 all good, 1 something failed, 2 something has to be installed or was mistyped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Kept outside the target folder: it is used with /proc and /dev mounted in it, which `cargo clean`
# must never meet.
BROKER4_FOLDER=/var/cache/mosync-brokers

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

stop() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
}

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

brokers=own
long=
while [ $# -gt 0 ]; do
    case $1 in
    --brokers)
        case ${2:-} in
        own | all) brokers=$2 ;;
        *) stop "--brokers takes \`own\` or \`all\`" ;;
        esac
        shift 2
        ;;
    --long)
        long=yes
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) stop "unknown argument \`$1\`; see tests/run.sh --help" ;;
    esac
done

# The workspace's own line in Cargo.toml: rust-version = "1.95".
wanted_rust() { sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml; }

# 0 when version $1 is at least version $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_rust() {
    local wanted found
    wanted=$(wanted_rust)
    command -v cargo >/dev/null && command -v rustc >/dev/null ||
        stop "Rust is missing; please install Rust $wanted or newer with its rustfmt and clippy (see https://rustup.rs)"
    found=$(rustc --version | cut -d ' ' -f 2)
    at_least "${found%%-*}" "$wanted" ||
        stop "this is Rust $found; please install $wanted or newer (\`rustup update stable\`)"
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
        stop "rustfmt or clippy is missing; \`rustup component add rustfmt clippy\` installs them"
    echo "Rust $found"
}

check_compiler() {
    command -v cc >/dev/null && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        stop "a C compiler is missing; please install the Debian packages gcc and libc6-dev, or your system's like"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends gcc libc6-dev
}

test_all() {
    if cargo nextest --version >/dev/null 2>&1; then
        # nextest gives each test a process, and so a broker of its own, which takes ten seconds to
        # start. What needs brokers shares one within a process instead. Browsers come after all
        # else: they are slow enough alone.
        cargo nextest run --workspace --locked --filterset 'not (package(adapters) | (package(mosync) & (binary(e2e) | binary(browser))))'
        cargo test --workspace --locked --no-fail-fast --test rabbit --test redis --test e2e --test browser
    else
        # The same tests; `--no-fail-fast` because nextest does not stop at the first either.
        cargo test --workspace --locked --no-fail-fast --lib --bins --tests
    fi
}

# How many can be set otherwise, for a shorter long run.
test_scenarios() {
    MOSYNC_SIM_SCENARIOS=${MOSYNC_SIM_SCENARIOS:-500} \
        cargo test --release --locked -p simulation --lib -- tests::scenarios_of_changing_rules
}

# Size and rounds can be set otherwise, for a shorter long run.
test_long() {
    E2E_LOAD_OPPORTUNITIES=${E2E_LOAD_OPPORTUNITIES:-200000} \
        E2E_LOAD_ROUNDS=${E2E_LOAD_ROUNDS:-20} \
        cargo test --release --locked -p mosync --test e2e -- load:: --nocapture --test-threads 1
}

# What fails where its bar is missed.
bench() {
    local package=$1
    shift
    for bench in "$@"; do
        cargo bench --locked -p "$package" --bench "$bench"
    done
}

# Runs one of the above, and keeps what it said.
measured() {
    "$@" 2>&1 | tee -a "$measurements"
}

if [ "${CI:-}" = true ]; then
    # Never read again, and a third of the disk.
    export CARGO_INCREMENTAL=0
    export CARGO_TERM_COLOR=never
fi

say "What is needed"
check_rust
check_compiler
tests/packages.sh || exit 2
broker4_root=
if [ "$brokers" = all ]; then
    broker4_root=$(tests/packages.sh 4 "$BROKER4_FOLDER") || exit 2
fi

if [ -n "$long" ]; then
    measurements=$(mktemp)
    trap 'rm -f "$measurements"' EXIT
    say "Scenarios of changing rules"
    test_scenarios
    say "Full loads at size"
    measured test_long
    say "Benches"
    measured bench mosync full_load explain
    measured bench operators preview first_page
    measured bench fake-salesforce bulk
    if grep MISSED "$measurements"; then
        say "Bars were missed"
        exit 1
    fi
    say "All good"
    exit 0
fi

say "Format"
cargo fmt --all --check

say "Lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

say "Tests"
# Which broker is tested is this script's choice, not the environment's.
unset MOSYNC_BROKER4_ROOT
test_all

say "Documentation tests"
cargo test --workspace --locked --doc --quiet

if [ -n "$broker4_root" ]; then
    say "The queue on RabbitMQ 4.x"
    MOSYNC_BROKER4_ROOT=$broker4_root cargo test --workspace --locked --test rabbit
fi

say "All good"

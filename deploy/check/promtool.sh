#!/bin/sh
# Prints where promtool is, Prometheus' program that checks metrics and rules:
#
#   promtool.sh            gets Debian's package prometheus once, if there is none
#   promtool.sh --here     gets nothing; prints nothing where there is none
#
# The package is unpacked into the cache. It is not installed, and no server starts. One in the PATH wins.
# Reads STYLEFLEET_CACHE as setup.sh does.
set -eu

cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
promtool=$cache/promtool/promtool

say() { printf 'promtool: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

fetch() {
    [ "$(id -u)" != 0 ] || apt-get -qq update # a fresh container knows no packages
    say "fetching promtool in Debian's package prometheus: a download of 19 MB, 48 MB in $cache/promtool"
    part=$cache/promtool.part
    rm -rf "$part"
    mkdir -p "$part"
    # As root it would change to a user that may not write here.
    (cd "$part" && apt-get -qq -o APT::Sandbox::User=root download prometheus) ||
        die "the package was not fetched (see above): run  apt-get update  as root, then this again"
    dpkg-deb --fsys-tarfile "$part"/prometheus_*.deb | tar --extract --directory "$part" --strip-components 3 ./usr/bin/promtool ||
        die "the package has no promtool, or is damaged: run this again, or put promtool into the PATH"
    rm "$part"/prometheus_*.deb
    mv "$part" "$cache/promtool" # last: a half install is redone
}

case ${1:-} in
'' | --here) ;;
*) die "$1 is not known; usage: promtool.sh [--here]" ;;
esac

if command -v promtool; then
    exit
fi
if [ ! -e "$promtool" ] && [ -z "${1:-}" ]; then
    if ! { command -v apt-get && command -v dpkg-deb; } >/dev/null; then
        die "promtool is missing, and this is no Debian: put it into the PATH; it comes with Prometheus"
    fi
    mkdir -p "$cache"
    exec 9>"$cache/promtool.lock"
    flock 9 # the first caller works, others wait and then find it there
    [ -e "$promtool" ] || fetch
fi
[ ! -e "$promtool" ] || echo "$promtool"

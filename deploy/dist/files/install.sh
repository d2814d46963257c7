#!/bin/sh
# Installs Stylefleet from this folder, under /usr/local or the folder given:
#
#   install.sh [--prefix FOLDER]
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=/usr/local

say() { printf 'install: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

case $#${1:-} in
0) ;;
2--prefix) prefix=$2 ;;
*) die "usage: install.sh [--prefix FOLDER]" ;;
esac

mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ] ||
    die "$prefix cannot be written to: run this as root, or name another folder with --prefix"
# tar puts new files in the place of old ones, which running programs keep.
tar -C "$here" -c bin lib share | tar -C "$prefix" -x --no-same-owner
say "Stylefleet is in $prefix. Workers need libtorch and VGG19's weights too, so where one is to run:"
say "    $prefix/bin/stylefleet-setup"

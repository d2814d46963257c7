#!/bin/sh
# Checks deploy/'s files for clusters and containers, and the workflow in .github, without a cluster or
# a container engine: schemas, linters, and that names, rights, ports and times match the code.
#
#   check.sh
#   check.sh --run   instead starts deploy/compose.yaml on the local Docker engine, if one runs, and
#                    tries the fleet: run_compose.py
#
# Its tools come from PyPI and Debian, once, into the cache (deploy/setup/tools.sh, promtool.sh). If docker
# compose is installed, it checks the compose files too.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

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

tools=$("$here/../setup/tools.sh" deploy-check "$here/requirements.txt" 'linters and schemas: 63 MB, 290 MB on disk,')

[ -z "${1:-}" ] || exec "$tools/python" -B "$here/run_compose.py"

cd "$here/../.."
# Any of these says what is wrong by itself.
"$tools/check-jsonschema" --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml deploy/compose/*.yaml
"$tools/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$tools/hadolint" deploy/docker/Dockerfile
find deploy -name '*.sh' -o -name '*.sbatch' -o -path 'deploy/dist/files/bin/*' | sort | xargs "$tools/shellcheck" --external-sources
promtool=$("$here/promtool.sh")
"$promtool" check rules deploy/dashboards/alerts.yaml >/dev/null
"$promtool" test rules deploy/dashboards/alerts.test.yaml >/dev/null
PATH=$tools:$PATH PROMTOOL=$promtool "$tools/python" -B -m unittest discover --start-directory deploy/check
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

#!/bin/sh
# Writes deploy/.env with new passwords for deploy/compose.yaml, once; an existing one is left alone.
set -eu
umask 077 # for its owner's eyes

file=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)/.env
[ ! -e "$file" ] || { echo "env.sh: $file is there already: delete it for new passwords, and the volumes with it" >&2; exit 1; }

secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; } # hexadecimal: safe in a URL

cat >"$file.part" <<END
# Read by docker compose. Keep it to yourself.
STYLEFLEET_OWNER_PASSWORD=$(secret)
STYLEFLEET_ADMIN_PASSWORD=$(secret)
STYLEFLEET_DISPATCHER_PASSWORD=$(secret)
STYLEFLEET_WORKER_PASSWORD=$(secret)
STYLEFLEET_DASHBOARD_TOKEN=$(secret)
STYLEFLEET_S3_OWNER_SECRET=$(secret)
STYLEFLEET_S3_DISPATCHER_SECRET=$(secret)
STYLEFLEET_S3_WORKER_SECRET=$(secret)

# Who owns the files that the dispatcher writes.
STYLEFLEET_USER=$(id -u):$(id -g)

# The S3 server: minio, seaweedfs or external (see deploy/compose).
STYLEFLEET_S3=minio

# How many workers, and how many threads each: share the cores, do not count them twice.
STYLEFLEET_WORKERS=1
STYLEFLEET_THREADS=0
END
mv "$file.part" "$file"
echo "env.sh: wrote $file"

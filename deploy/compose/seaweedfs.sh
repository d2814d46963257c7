#!/bin/sh
# Starts SeaweedFS with Stylefleet's users and the policies of deploy/s3. See seaweedfs.yaml.
set -eu
umask 077

policies=${POLICIES:-/policies} config=${CONFIG:-/tmp/s3.json}

policy() { # name: as SeaweedFS takes it, a document in a string
    printf '{"name": "stylefleet-%s", "content": "%s"}' "$1" \
        "$(tr -d '\n' <"$policies/$1.policy.json" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}
user() { # name, secret, rights
    printf '{"name": "%s", "credentials": [{"accessKey": "stylefleet-%s", "secretKey": "%s"}], %s}' "$1" "$1" "$2" "$3"
}

cat >"$config" <<END
{
  "identities": [
    $(user owner "$OWNER_SECRET" '"actions": ["Admin", "Read", "Write", "List", "Tagging"]'),
    $(user dispatcher "$DISPATCHER_SECRET" '"policyNames": ["stylefleet-dispatcher"]'),
    $(user worker "$WORKER_SECRET" '"policyNames": ["stylefleet-worker"]')
  ],
  "policies": [$(policy dispatcher), $(policy worker)]
}
END

exec weed server -dir="${DATA:-/data}" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port="${PORT:-9000}" -s3.config="$config" \
    -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 "$@"

#!/bin/sh
# Creates Stylefleet's vhost and its users on a RabbitMQ node, each with the least rights that it
# needs. Run it again to change passwords or to correct rights.
#
#   STYLEFLEET_ADMIN_PASSWORD=...       declares the topology: stylefleet doctor --declare
#   STYLEFLEET_DISPATCHER_PASSWORD=...  publishes jobs, reads events, progress and dead letters
#   STYLEFLEET_WORKER_PASSWORD=...      takes jobs, publishes what became of them
#   STYLEFLEET_MONITOR_PASSWORD=...     reads queue lengths over HTTP, for KEDA; if unset, no such user
#   STYLEFLEET_VHOST=stylefleet
#   RABBITMQ_NODENAME=rabbit@broker     the node; if unset, this machine's
#   deploy/rabbitmq/users.sh
#
# In a pod, with the settings in a file:  cat FILE deploy/rabbitmq/users.sh | kubectl exec -i POD -- sh -s
# A managed broker has no rabbitmqctl: give the same rights in its console.
#
# RabbitMQ has one right, `read`, for taking messages and for purging a queue. A worker can declare and
# delete nothing, but it can purge the queues it takes jobs from.
set -eu

: "${STYLEFLEET_ADMIN_PASSWORD:?is not set}"
: "${STYLEFLEET_DISPATCHER_PASSWORD:?is not set}"
: "${STYLEFLEET_WORKER_PASSWORD:?is not set}"
vhost=${STYLEFLEET_VHOST:-stylefleet}

ctl() { rabbitmqctl --silent "$@"; }

user() { # name, password, tag or '', configure, write, read
    if ctl list_users --no-table-headers | cut -f1 | grep -qxF "$1"; then verb=change_password; else verb=add_user; fi
    # By standard input: arguments are there for every process to read. With any option beside these two
    # words, rabbitmqctl 3.12.11 and later would not read it, and wait for ever.
    printf %s "$2" | rabbitmqctl "$verb" "$1" >/dev/null
    # shellcheck disable=SC2086
    ctl set_user_tags "$1" $3
    ctl set_permissions --vhost "$vhost" "$1" "$4" "$5" "$6"
}

ctl list_vhosts --no-table-headers | grep -qxF "$vhost" || ctl add_vhost "$vhost"

user admin "$STYLEFLEET_ADMIN_PASSWORD" '' '^stylefleet\.v2\..*$' '^stylefleet\.v2\..*$' '^stylefleet\.v2\..*$'
user dispatcher "$STYLEFLEET_DISPATCHER_PASSWORD" '' \
    '^stylefleet\.v2\.watch\..*$' \
    '^stylefleet\.v2\.(jobs|watch\..*)$' \
    '^stylefleet\.v2\.(dead|events|progress|watch\..*)$'
user worker "$STYLEFLEET_WORKER_PASSWORD" '' \
    '^$' \
    '^stylefleet\.v2\.(jobs|retry\..*|dead|events|progress)$' \
    '^stylefleet\.v2\.(jobs\..*|abandoned)$'
if [ -n "${STYLEFLEET_MONITOR_PASSWORD:-}" ]; then
    user monitor "$STYLEFLEET_MONITOR_PASSWORD" management '^$' '^$' '^$'
fi
echo "users.sh: vhost $vhost and its users are ready"

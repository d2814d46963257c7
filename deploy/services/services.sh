#!/bin/sh
# Real local services for development and tests: RabbitMQ, and SeaweedFS as the S3 store. Both
# listen on one address only, on free ports chosen at the first start, and keep everything (data,
# logs, passwords, certificates) in one folder. Stop them and delete that folder, and nothing is left.
#
#   services.sh start   [broker|store]   starts what is not running, and waits until it is ready
#   services.sh stop    [broker|store]   shuts it down cleanly, and keeps its data
#   services.sh kill    [broker|store]   kills it with SIGKILL, like a crash
#   services.sh status  [broker|store]   says what is running; exits with 1 unless all is
#   services.sh env                      prints shell lines that say where they are:
#                                            env=$(deploy/services/services.sh env) && eval "$env"
#   services.sh rabbitmqctl ...          RabbitMQ's own command, for this broker
#   services.sh rabbitmq-plugins ...     and its command for plugins
#   services.sh install [broker|store]   only installs what is missing (start does that too)
#   services.sh install browser          installs Chromium and its driver, for tests of the dashboard's
#                                        page; the exit code is 69 where they are not available
#   services.sh install axe              fetches axe-core, whose rules those tests hold the page to, and
#                                        prints where its script is; 69 as above
#
#   --dir DIR        before the action: the folder, by default .services in this checkout. Another folder
#                    means another pair of servers.
#   --host ADDRESS   after it, at the first start: the IPv4 address to listen on, by default 127.0.0.1
#
# Read from the environment: STYLEFLEET_CACHE, PYTHON (see deploy/setup/setup.sh), and at the first start
# in a folder STYLEFLEET_TEST_RABBITMQ=4: RabbitMQ 4 of Debian 13, beside the system's. If that is not
# available, the exit code is 69.
set -eu
exec 3>&1 1>&2 # all talk goes to stderr: what is asked for alone goes to stdout
umask 077      # passwords and keys lie in these folders

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
python=${PYTHON:-python3}

say() { printf 'services: %s\n' "$*"; }
die() { say "$*"; exit 1; }
usage() { die "$1; usage: services.sh [--dir DIR] [--host ADDRESS] start|stop|kill|status|env|install [broker|store], rabbitmqctl|rabbitmq-plugins ..."; }

dir=$here/../../.services host=127.0.0.1
if [ "${1:-}" = --dir ]; then
    [ $# -gt 1 ] || usage '--dir wants a folder'
    dir=$2
    shift 2
fi
if [ "${1:-}" = --host ]; then
    [ $# -gt 1 ] || usage '--host wants an address'
    host=$2
    shift 2
fi
dir=$(realpath -m -- "$dir")
action=${1:-}
[ -z "$action" ] || shift
case $action in
start | stop | kill | status | install)
    case $action-$* in
    *-) services='broker store' ;;
    *-broker | *-store | install-browser | install-axe) services=$1 ;;
    *) usage "$* is not known" ;;
    esac
    ;;
env | rabbitmqctl | rabbitmq-plugins) ;;
*) usage "${action:-no action} is not known" ;;
esac

# shellcheck source=deploy/services/install.sh
. "$here/install.sh"
# shellcheck source=deploy/services/server.sh
. "$here/server.sh"
# shellcheck source=deploy/services/broker.sh
. "$here/broker.sh"
# shellcheck source=deploy/services/store.sh
. "$here/store.sh"

has_settings() { [ -e "$dir/settings" ]; }
settings() { # ports, password, keys, and the series of RabbitMQ, whose data no other reads
    has_settings || die "nothing was ever started in $dir: run  $0 --dir $dir start  first"
    rabbitmq_series=
    # shellcheck source=/dev/null
    . "$dir/settings"
    [ "${STYLEFLEET_TEST_RABBITMQ:-$rabbitmq_series}" = "$rabbitmq_series" ] ||
        die "the broker in $dir is the system's RabbitMQ, and STYLEFLEET_TEST_RABBITMQ asks for another: name another folder with --dir"
}
rabbitmq_series=${STYLEFLEET_TEST_RABBITMQ:-} # none: the system's
case $rabbitmq_series in
'' | 4) ;;
*) die "STYLEFLEET_TEST_RABBITMQ=$rabbitmq_series is not known: it is 4, or left out for the system's RabbitMQ" ;;
esac
if has_settings; then settings; fi

# One services.sh at a time works on a folder.
lock() {
    mkdir -p "$dir" || die "$dir cannot be made: name another folder with --dir"
    exec 9>"$dir/lock"
    flock -n 9 || { say "another services.sh is at work in $dir: waiting for it"; flock 9; }
}

show() { # name, value, quoted for the shell
    printf "export %s='%s'\n" "$1" "$(printf %s "$2" | sed "s/'/'\\\\''/g")" >&3
}

case $action in
install)
    for service in $services; do "install_$service"; done
    ;;
start)
    for service in $services; do "install_$service"; done
    lock
    has_settings || choose_settings
    settings
    for service in $services; do is_up "$service" || "launch_$service"; done # side by side
    for service in $services; do wait_until_ready "$service"; done
    ;;
stop | kill)
    has_settings || exit 0 # nothing was ever started
    lock
    settings
    for service in $services; do "${action}_server" "$service"; done
    ;;
status)
    settings
    down=0
    for service in $services; do
        if is_up "$service"; then say "$("about_$service")"; else say "the $service does not run"; down=1; fi
    done
    exit $down
    ;;
env)
    settings
    show STYLEFLEET_BROKER "amqp://stylefleet:$broker_password@$host:$amqp_port/stylefleet"
    show STYLEFLEET_STORE s3://stylefleet
    show STYLEFLEET_S3_ENDPOINT "http://$host:$s3_port"
    show AWS_ACCESS_KEY_ID "$s3_key"
    show AWS_SECRET_ACCESS_KEY "$s3_secret"
    show AWS_REGION us-east-1
    # For tests: this folder, the same servers by TLS, and where buckets are made.
    show STYLEFLEET_TEST_SERVICES "$dir"
    show STYLEFLEET_TEST_CA "$dir/tls/ca.pem"
    show STYLEFLEET_TEST_BROKER_TLS "amqps://stylefleet:$broker_password@$host:$amqps_port/stylefleet"
    show STYLEFLEET_TEST_S3_TLS "https://$host:$s3s_port"
    show STYLEFLEET_TEST_FILER "http://$host:$filer_port"
    ;;
rabbitmqctl | rabbitmq-plugins)
    settings
    rabbitmq_tool "$action" "$@" >&3
    ;;
esac

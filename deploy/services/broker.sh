# shellcheck shell=sh disable=SC2034,SC2154 # the parts of services.sh share their variables
# RabbitMQ, as a node of its own: name, cookie, data, logs and epmd. Part of services.sh.

broker_grace=60 # seconds to stop in

# Everything that RabbitMQ's programs would else look for in the system's folders.
broker_environment() {
    find_rabbitmq || die "RabbitMQ is not installed: run  $0 install"
    export HOME="$dir/broker" # where the cookie is
    export ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS="$host"
    export RABBITMQ_USE_LONGNAME=true RABBITMQ_NODENAME="stylefleet@$host" RABBITMQ_DIST_PORT="$node_port"
    export RABBITMQ_CONF_ENV_FILE="$HOME/env.conf" RABBITMQ_CONFIG_FILE="$HOME/rabbitmq.conf"
    export RABBITMQ_ENABLED_PLUGINS_FILE="$HOME/enabled_plugins" RABBITMQ_PID_FILE="$HOME/pid"
    export RABBITMQ_MNESIA_BASE="$HOME/data" RABBITMQ_LOG_BASE="$HOME/log" RABBITMQ_GENERATED_CONFIG_DIR="$HOME/config"
    # Nodes talk on this address alone, and miss each other after 15 s, not 60. Two schedulers are plenty.
    net="-kernel inet_dist_use_interface {$(echo "$host" | tr . ,)} -kernel net_ticktime 15"
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 $net" RABBITMQ_CTL_ERL_ARGS="$net"
    # Debian's default is a list, whose first folder its package does not bring.
    [ ! -d "$root${rabbitmq%/*}/plugins" ] || export RABBITMQ_PLUGINS_DIR="${rabbitmq%/*}/plugins"
    # Any port, not one of eleven: many rabbitmqctl may run at once.
    export RABBITMQ_CTL_DIST_PORT_MIN=0 RABBITMQ_CTL_DIST_PORT_MAX=0
}

launch_broker() {
    (
        broker_environment
        mkdir -p "$HOME"
        cd "$HOME" || exit 1 # where Mnesia leaves its core dumps, rather than wherever this was called
        : >"$RABBITMQ_CONF_ENV_FILE"
        echo '[].' >"$RABBITMQ_ENABLED_PLUGINS_FILE"
        [ -e "$HOME/.erlang.cookie" ] || random_hex 20 >"$HOME/.erlang.cookie"
        chmod 400 "$HOME/.erlang.cookie"
        cat >"$RABBITMQ_CONFIG_FILE" <<END
listeners.tcp.1 = $host:$amqp_port
listeners.ssl.1 = $host:$amqps_port
ssl_options.cacertfile = $dir/tls/ca.pem
ssl_options.certfile = $dir/tls/server.pem
ssl_options.keyfile = $dir/tls/server.key
ssl_options.verify = verify_none
default_user = stylefleet
default_pass = $broker_password
default_vhost = stylefleet
# With less left RabbitMQ blocks all publishers; the default is 50 MB.
disk_free_limit.absolute = 10MB
# In a cluster that falls apart, the smaller part waits.
cluster_partition_handling = pause_minority
END
        export detached=1 # the script becomes the server, rather than watch it
        launch broker "$start_with" "$rabbitmq/rabbitmq-server"
    )
}

# Without the locks: it may start epmd, which stays.
rabbitmq_tool() { # rabbitmqctl or another of its programs, arguments
    tool=$1
    shift
    (broker_environment && exec "$start_with" "$rabbitmq/$tool" "$@" 3>&- 8>&- 9>&-)
}

is_ready_broker() { rabbitmq_tool rabbitmqctl --silent await_startup --timeout 10 >"$dir/broker/startup.log" 2>&1; }

clean_broker() { (broker_environment && "$start_with" epmd -kill >/dev/null 2>&1) || true; }

about_broker() { echo "RabbitMQ is at $host:$amqp_port (process $pid, log in $dir/broker/log)"; }
